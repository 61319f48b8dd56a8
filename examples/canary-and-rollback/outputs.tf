output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "newest_version" {
  description = "Most recently published version."
  value       = module.api.newest_version
}

output "version" {
  description = "Version that serves."
  value       = module.api.version
}
