output "url" {
  description = "The service, a few minutes after the instance has started."
  value       = var.domain == null ? "http://${aws_eip.this.public_ip}/" : "https://${var.domain}/"
}

output "address" {
  description = "The address that stays; a domain must point here."
  value       = aws_eip.this.public_ip
}

output "ssh" {
  description = "The way onto the instance."
  value       = "ssh -i ${trimsuffix(var.public_key_file, ".pub")} ubuntu@${aws_eip.this.public_ip}"
}

output "instance_id" {
  description = "The instance."
  value       = aws_instance.this.id
}

output "artifacts_url" {
  description = "Where models, checkpoints and data sets are, as HEMLINE_ARTIFACTS_URL."
  value       = local.artifacts_url
}

output "deployment_role" {
  description = "The role of the deploying workflow, where there is one."
  value       = one(aws_iam_role.deployment[*].arn)
}
