output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "newest_version" {
  description = "Version published last."
  value       = module.api.newest_version
}

output "version" {
  description = "Version that serves."
  value       = module.api.version
}
