output "url" {
  description = "The service, a few minutes after the instance has started."
  value       = "http://${aws_instance.this.public_ip}${var.web_port == 80 ? "" : ":${var.web_port}"}/"
}

output "ssh" {
  description = "The way onto the instance."
  value       = "ssh -i ${trimsuffix(var.public_key_file, ".pub")} ubuntu@${aws_instance.this.public_ip}"
}

output "instance_id" {
  description = "The instance."
  value       = aws_instance.this.id
}
