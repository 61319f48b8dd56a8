output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "image_uri" {
  description = "Image of the newest version, by digest."
  value       = module.api.image_uri
}

output "source_hash" {
  description = "SHA-256 (hex) of everything that goes into the image; GET /version returns it."
  value       = module.api.source_hash
}

output "table_name" {
  description = "Name of the DynamoDB table."
  value       = aws_dynamodb_table.this.name
}

output "version" {
  description = "Version that serves."
  value       = module.api.version
}
