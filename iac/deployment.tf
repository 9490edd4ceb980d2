# Only with `github_repository`: the way for its deploying workflow, which has no key and needs no open port. GitHub vouches
# for a run that was approved for the environment `production`; a role that trusts it may send commands to the instance
# through Systems Manager, whose agent is in Ubuntu's image.

locals {
  deployed = var.github_repository == null ? 0 : 1
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository != null && var.github_oidc_provider == null ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "approved_run" {
  count = local.deployed

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.github_oidc_provider == null ? aws_iam_openid_connect_provider.github[0].arn : var.github_oidc_provider]
    }

    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:${var.github_repository}:environment:production"]
    }
  }
}

data "aws_iam_policy_document" "send_commands" {
  # checkov:skip=CKV_AWS_356:What became of a command cannot be narrowed to an instance.
  count = local.deployed

  statement {
    sid       = "Send"
    actions   = ["ssm:SendCommand"]
    resources = [aws_instance.this.arn, "arn:aws:ssm:${var.region}::document/AWS-RunShellScript"]
  }

  statement {
    sid       = "Follow"
    actions   = ["ssm:GetCommandInvocation"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "deployment" {
  count = local.deployed

  name_prefix        = "${var.name}-deploy-"
  description        = "What the deploying workflow may do"
  assume_role_policy = data.aws_iam_policy_document.approved_run[0].json
}

resource "aws_iam_role_policy" "deployment" {
  count = local.deployed

  name   = "send-commands"
  role   = aws_iam_role.deployment[0].id
  policy = data.aws_iam_policy_document.send_commands[0].json
}

# The agent's part of AmazonSSMManagedInstanceCore for commands: that also reads every parameter of the account.
data "aws_iam_policy_document" "take_commands" {
  # checkov:skip=CKV_AWS_356:None of these can be narrowed to an instance.
  # checkov:skip=CKV_AWS_111:As above.
  count = local.deployed

  statement {
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
      "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage",
      "ec2messages:GetEndpoint", "ec2messages:GetMessages", "ec2messages:SendReply",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "take_commands" {
  count = local.deployed

  name   = "take-commands"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.take_commands[0].json
}
