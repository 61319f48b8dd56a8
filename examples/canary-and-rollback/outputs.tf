output "alarm_arns" {
  description = "ARNs of the API's alarms by name: `delivery` watches them during a rollout."
  value       = module.api.alarm_arns
}

output "alias_arn" {
  description = "ARN of the alias `live`: `delivery` reads from it which version serves."
  value       = module.api.alias_arn
}

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
