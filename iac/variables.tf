variable "repository_url" {
  description = "Git repository that the instance serves, as an https URL that can be cloned without a password."
  type        = string

  validation {
    condition     = can(regex("^https://[A-Za-z0-9._~/-]+$", var.repository_url))
    error_message = "Give an https URL without credentials, like https://example.org/team/hemline.git."
  }
}

variable "repository_ref" {
  description = "Branch or tag that is checked out."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.repository_ref))
    error_message = "Give the name of a branch or of a tag."
  }
}

variable "ssh_cidr" {
  description = "Addresses that may reach port 22, as an IPv4 CIDR block; your own is the answer of https://checkip.amazonaws.com, with /32."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.ssh_cidr)) && !endswith(var.ssh_cidr, "/0")
    error_message = "Give an IPv4 CIDR block smaller than the whole internet, like 203.0.113.7/32."
  }
}

variable "web_cidrs" {
  description = "Addresses that may reach the service, as IPv4 CIDR blocks; null lets in those that may use ssh. With a domain, everybody must be let in: [\"0.0.0.0/0\"]."
  type        = list(string)
  default     = null

  validation {
    condition     = var.web_cidrs == null ? true : length(var.web_cidrs) > 0 && alltrue([for block in var.web_cidrs : can(cidrnetmask(block))])
    error_message = "Give IPv4 CIDR blocks, like [\"203.0.113.0/24\"]."
  }
}

variable "domain" {
  description = "Name by which the service is reached, over TLS; its DNS record must point to the output `address`. null serves plain HTTP."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "Give a domain name in lower case, like hemline.example.org, without https://."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Give the name of a region, like eu-central-1."
  }
}

variable "name" {
  description = "Name of everything that is made, so that two installations fit into one account."
  type        = string
  default     = "hemline"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name))
    error_message = "Give 2 to 24 small letters, digits and hyphens, a letter first: it begins the name of a bucket."
  }
}

variable "instance_type" {
  description = "An x86-64 type. 4 GiB serve and train; 2 GiB (t3.small) serve."
  type        = string
  default     = "t3.medium"

  validation {
    # The second part of a Graviton type has a g behind its generation, like m7g or c6gn.
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type)) && !can(regex("^(a1|[a-z]+[0-9]+g[a-z]*)\\.", var.instance_type))
    error_message = "Give an x86-64 type, like t3.medium."
  }
}

variable "ami" {
  description = "Image of the instance, an Ubuntu 24.04 for x86-64; null takes Canonical's newest."
  type        = string
  default     = null

  validation {
    condition     = var.ami == null ? true : can(regex("^ami-[0-9a-f]{8,17}$", var.ami))
    error_message = "Give the id of an image, like ami-0123456789abcdef0."
  }
}

variable "volume_size" {
  description = "Root volume in GiB: images and Redis' file."
  type        = number
  default     = 30

  validation {
    condition     = var.volume_size >= 20 && var.volume_size <= 16384
    error_message = "The images alone need 20 GiB while they are built; a gp3 volume has at most 16384."
  }
}

variable "redis_memory" {
  description = "Memory of Redis, in its notation; Redis may need as much again while it rewrites its file."
  type        = string
  default     = "512mb"

  validation {
    condition     = can(regex("^[1-9][0-9]*(mb|gb)$", var.redis_memory))
    error_message = "Give a size like 512mb or 2gb."
  }
}

variable "public_key_file" {
  description = "Public half of the key that opens ssh."
  type        = string
  default     = "fashion_mnist_key.pub"

  validation {
    # Terraform's state keeps what this names.
    condition     = endswith(var.public_key_file, ".pub")
    error_message = "Name the public half, which ends with .pub: the private one must not get into the state."
  }
}

variable "delete_artifacts" {
  description = "Whether `terraform destroy` deletes the models, checkpoints and data sets too, all their versions; if not, it stops at a bucket that holds any."
  type        = bool
  default     = false
}

variable "github_repository" {
  description = "Repository whose workflow may deploy, as owner/name; null lets none."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null ? true : can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "Give it as owner/name, like team/hemline."
  }
}

variable "github_oidc_provider" {
  description = "GitHub's identity provider in this account, as an ARN, where there is one: an account has it once. null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider == null ? true : can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/token[.]actions[.]githubusercontent[.]com$", var.github_oidc_provider))
    error_message = "Give an ARN like arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com."
  }
}
