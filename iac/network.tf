# Where the instance is reached, and whom it reaches. It is in the default network, where AWS chooses the zone.

data "aws_vpc" "default" {
  default = true
}

resource "aws_eip" "this" {
  # checkov:skip=CKV2_AWS_19:It is attached, by the association below.
  domain = "vpc"
  tags   = { Name = var.name }
}

# Apart from the address, so that the first start can be told which address to wait for.
resource "aws_eip_association" "this" {
  allocation_id = aws_eip.this.id
  instance_id   = aws_instance.this.id
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Hemline: ssh from one network, the web, and downloads"
  vpc_id      = data.aws_vpc.default.id
  tags        = { Name = var.name }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id = aws_security_group.this.id
  description       = "ssh"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = var.ssh_cidr
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  # checkov:skip=CKV_AWS_260:Port 80 redirects to 443 where there is a domain, and proves that the domain is ours.
  for_each = { for pair in setproduct([80, 443], local.web_cidrs) : "${pair[0]} from ${pair[1]}" => pair }

  security_group_id = aws_security_group.this.id
  description       = "The service"
  ip_protocol       = "tcp"
  from_port         = each.value[0]
  to_port           = each.value[0]
  cidr_ipv4         = each.value[1]
}

# Names, time and credentials come from addresses of the network itself, which no group filters.
resource "aws_vpc_security_group_egress_rule" "downloads" {
  for_each = toset(["80", "443"])

  security_group_id = aws_security_group.this.id
  description       = "Packages, images, the repository, the data set and the bucket"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
  cidr_ipv4         = "0.0.0.0/0"
}
