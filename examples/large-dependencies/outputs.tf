output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "image_uri" {
  description = "URI of the image, by digest."
  value       = module.api.image_uri
}
