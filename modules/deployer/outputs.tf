output "apply_role_arn" {
  description = "ARN of the role that applies assume."
  value       = aws_iam_role.this["apply"].arn
  depends_on  = [aws_iam_role_policy_attachment.additional, aws_iam_role_policy_attachment.this]
}

output "backend_config" {
  description = "File for `terraform init -backend-config=<file> -backend-config=key=<key>`, or the arguments of a `backend \"s3\"` block. Without use_lockfile for Terraform 1.9. No `encrypt`: with it Terraform overrides the bucket's encryption."
  value = join("", [
    "bucket       = \"${local.bucket_name}\"\n",
    "region       = \"${local.region}\"\n",
    "use_lockfile = true\n",
  ])
  depends_on = [aws_s3_bucket_versioning.state, aws_s3_bucket_server_side_encryption_configuration.state, aws_s3_bucket_policy.state]
}

output "boundary_arn" {
  description = "ARN of the permissions boundary. Every API sets it: `permissions = { boundary_arn = <this> }`."
  value       = aws_iam_policy.boundary.arn
}

output "bucket" {
  description = "Name of the bucket of the states."
  value       = local.bucket_name
}

output "key_prefix" {
  description = "What the keys of the APIs' states begin with."
  value       = var.state.key_prefix
}

output "plan_role_arn" {
  description = "ARN of the role that plans assume. It reads only."
  value       = aws_iam_role.this["plan"].arn
  depends_on  = [aws_iam_role_policy_attachment.additional, aws_iam_role_policy_attachment.this]
}

output "policies" {
  description = "The roles' own policies as JSON, by role and part: for reviews and policy simulators."
  value       = { for role in ["apply", "plan"] : role => { for key, policy in local.policies : trimprefix(key, "${role}-") => policy.json if policy.role == role } }
}

output "provider_arn" {
  description = "ARN of the issuer's OIDC provider."
  value       = local.own_provider ? aws_iam_openid_connect_provider.this[0].arn : local.provider_arn
}
