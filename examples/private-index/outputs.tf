output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "image_uri" {
  description = "URI of the image, by digest."
  value       = module.api.image_uri
}

output "source_hash" {
  description = "Hash of the image's sources, which is also its label lambda-container-api.source-hash."
  value       = module.api.source_hash
}
