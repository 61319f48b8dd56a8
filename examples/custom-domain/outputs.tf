output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "domain_target" {
  description = "Target of the domain's DNS record."
  value       = module.api.domain_target
}
