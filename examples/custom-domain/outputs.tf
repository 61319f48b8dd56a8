output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "domain_target" {
  description = "Where the domain's DNS record points."
  value       = module.api.domain_target
}
