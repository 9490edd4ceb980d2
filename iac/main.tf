# One instance in the default network, which builds the images itself and serves them with Docker Compose.

locals {
  public_key_file = startswith(var.public_key_file, "/") ? var.public_key_file : "${path.module}/${var.public_key_file}"
  web_cidrs       = var.web_cidrs == null ? [var.ssh_cidr] : var.web_cidrs
  ubuntu          = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
}

data "aws_ami" "ubuntu" {
  count = var.ami == null ? 1 : 0

  most_recent = true
  owners      = ["099720109477"] # Canonical

  filter {
    name   = "name"
    values = [local.ubuntu]
  }
}

resource "aws_key_pair" "this" {
  key_name   = var.name
  public_key = file(local.public_key_file)

  lifecycle {
    precondition {
      condition     = fileexists(local.public_key_file)
      error_message = "There is no ${var.public_key_file}. Make a key first: ssh-keygen -f ${trimsuffix(var.public_key_file, ".pub")}"
    }
  }
}

resource "aws_instance" "this" {
  # checkov:skip=CKV_AWS_126:Detailed monitoring costs money and says nothing that the service's own metrics do not.
  ami                    = var.ami == null ? data.aws_ami.ubuntu[0].id : var.ami
  instance_type          = var.instance_type
  key_name               = aws_key_pair.this.key_name
  iam_instance_profile   = aws_iam_instance_profile.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  ebs_optimized          = true

  # Holds no secret: the state and the metadata service show it to whoever may read them.
  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    repository_url = var.repository_url
    repository_ref = var.repository_ref
    site           = var.domain == null ? ":80" : var.domain
    redis_memory   = var.redis_memory
    address        = aws_eip.this.public_ip
    artifacts_url  = local.artifacts_url
    region         = var.region
  })

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required" # IMDSv2
    # The containers are one hop behind the instance, and take the credentials of its role from there.
    http_put_response_hop_limit = 2
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.volume_size
    encrypted   = true
    tags        = { Name = var.name }
  }

  tags = { Name = var.name }

  # On its first start it fetches packages and stores the models that ship.
  depends_on = [
    aws_iam_role_policy.artifacts, aws_s3_bucket_policy.artifacts, aws_vpc_security_group_egress_rule.downloads,
  ]

  lifecycle {
    precondition {
      condition     = var.domain == null || contains(local.web_cidrs, "0.0.0.0/0")
      error_message = "With a domain, web_cidrs must be [\"0.0.0.0/0\"]: the issuer of its certificate calls from anywhere."
    }

    # Jobs and records live on the root volume: a newer image or another start script must not replace it.
    ignore_changes = [ami, user_data]
  }
}
