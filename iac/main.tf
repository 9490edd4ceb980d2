# One instance in the default network, which builds the images itself and serves them with Docker Compose.

data "aws_ami" "ubuntu" {
  count = var.ami == null ? 1 : 0

  most_recent = true
  owners      = ["099720109477"] # Canonical

  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]
  }
}

resource "aws_key_pair" "this" {
  key_name   = var.name
  public_key = file(startswith(var.public_key_file, "/") ? var.public_key_file : "${path.module}/${var.public_key_file}")
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Hemline: ssh from one network, the service, and everything outwards"

  ingress {
    description = "ssh"
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = [var.ssh_cidr]
  }

  ingress {
    description = "The service"
    from_port   = var.web_port
    to_port     = var.web_port
    protocol    = "tcp"
    cidr_blocks = var.web_cidrs
  }

  egress {
    description = "Packages, images, the repository and the data set"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = { Name = var.name }
}

resource "aws_instance" "this" {
  ami                         = var.ami == null ? data.aws_ami.ubuntu[0].id : var.ami
  instance_type               = var.instance_type
  key_name                    = aws_key_pair.this.key_name
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true

  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    repository_url = var.repository_url
    repository_ref = var.repository_ref
    web_port       = var.web_port
    redis_memory   = var.redis_memory
  })

  metadata_options {
    http_tokens                 = "required" # IMDSv2
    http_put_response_hop_limit = 1          # out of reach of the containers
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.volume_size
    encrypted   = true
  }

  tags = { Name = var.name }

  lifecycle {
    # Jobs and models live on the root volume: a newer image or another start script must not replace it.
    ignore_changes = [ami, user_data]
  }
}
