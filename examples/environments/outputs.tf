output "alarm_arns" {
  description = "ARNs of the alarms by name, which a rollout watches."
  value       = module.api.alarm_arns
}

output "alias_arn" {
  description = "ARN of the alias that all requests go through, which a rollout reads."
  value       = module.api.alias_arn
}

output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}

output "image_uri" {
  description = "Image of the newest version, by digest: what the next environment's `image_uri` promotes."
  value       = module.api.image_uri
}

output "newest_version" {
  description = "Most recently published version."
  value       = module.api.newest_version
}

output "version" {
  description = "Version that serves."
  value       = module.api.version
}
