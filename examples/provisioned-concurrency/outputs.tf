output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "alarm_arns" {
  description = "ARNs of the alarms by name."
  value       = module.api.alarm_arns
}
