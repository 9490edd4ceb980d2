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
  description = "Addresses that may reach the service, as IPv4 CIDR blocks. It has no login yet."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.web_cidrs) > 0 && alltrue([for block in var.web_cidrs : can(cidrnetmask(block))])
    error_message = "Give IPv4 CIDR blocks, like [\"203.0.113.0/24\"]."
  }
}

variable "web_port" {
  description = "Port of the service."
  type        = number
  default     = 80

  validation {
    condition     = contains([80, 8000], var.web_port)
    error_message = "The service is published on port 80 or on port 8000."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of everything that is made, so that two installations fit into one account."
  type        = string
  default     = "hemline"
}

variable "instance_type" {
  description = "An x86-64 type. 4 GiB serve and train; 2 GiB (t3.small) serve."
  type        = string
  default     = "t3.medium"
}

variable "ami" {
  description = "Image of the instance, an Ubuntu 24.04 for x86-64; null takes Canonical's newest."
  type        = string
  default     = null
}

variable "volume_size" {
  description = "Root volume in GiB: images, Redis' file and model versions."
  type        = number
  default     = 30

  validation {
    condition     = var.volume_size >= 20
    error_message = "The images alone need 20 GiB while they are built."
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
}
