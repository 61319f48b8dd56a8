output "apply_role_arn" {
  description = "ARN of the role that applies assume."
  value       = module.deployer.apply_role_arn
}

output "backend_config" {
  description = "Contents of the file for `terraform init -backend-config`."
  value       = module.deployer.backend_config
}

output "boundary_arn" {
  description = "ARN for `permissions.boundary_arn` of each API."
  value       = module.deployer.boundary_arn
}

output "bucket" {
  description = "Name of the bucket of the states."
  value       = module.deployer.bucket
}

output "plan_role_arn" {
  description = "ARN of the role that plans assume."
  value       = module.deployer.plan_role_arn
}
