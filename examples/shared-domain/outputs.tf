output "endpoint" {
  description = "HTTPS URL of the API at the domain's root, without a trailing slash."
  value       = module.api.endpoint
}

output "orders_endpoint" {
  description = "HTTPS URL of the API under /orders, without a trailing slash."
  value       = module.orders.endpoint
}

output "domain_target" {
  description = "Target of the domain's DNS record."
  value       = module.api.domain_target
}
