output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}
