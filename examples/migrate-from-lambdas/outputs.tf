output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "table_name" {
  description = "Name of the new table."
  value       = aws_dynamodb_table.this.name
}
