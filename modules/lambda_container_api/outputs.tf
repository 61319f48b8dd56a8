# No output is secret, even where an input (a build argument, a name) is sensitive.
output "alarm_arns" {
  description = "ARNs of the alarms by name (errors, server-errors, throttles, latency, latency-average, duration, memory, concurrency, spillover), for those that exist."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}

output "alias_arn" {
  description = "ARN of the alias `live`. Every caller invokes the function through it."
  value       = aws_lambda_alias.live.arn
}

output "api_execution_arn" {
  description = "ARN that the API's routes begin with, for the source ARN of permissions and for `execute-api:Invoke` in IAM policies: `<this>/$default/GET/users`."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "api_id" {
  description = "ID of the HTTP API."
  value       = aws_apigatewayv2_api.this.id
}

output "dashboard_url" {
  description = "CloudWatch console URL of the dashboard; null without a dashboard, and in partitions whose console URL is not public."
  value = one([for d in aws_cloudwatch_dashboard.this : nonsensitive(
    "https://${local.region}.${local.console_host}/cloudwatch/home?region=${local.region}#dashboards/dashboard/${d.dashboard_name}"
  ) if local.console_host != null])
}

output "domain_target" {
  description = "Target of the custom domain's DNS record (`name`, `zone_id`); null without a domain of this module. Outside Route 53, create a CNAME to `name`."
  value = one([for d in aws_apigatewayv2_domain_name.this : {
    name    = d.domain_name_configuration[0].target_domain_name
    zone_id = d.domain_name_configuration[0].hosted_zone_id
  }])
}

output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash; null for a wildcard domain (*.example.com). Available once requests to it can succeed."
  value       = local.endpoint

  depends_on = [
    aws_apigatewayv2_api_mapping.this,
    aws_apigatewayv2_stage.default,
    aws_lambda_permission.api,
    aws_lambda_permission.authorizer,
    aws_route53_record.this,
  ]
}

output "execution_policy" {
  description = "IAM policy (JSON) that allows what the function itself needs, without `permissions.statements`: a role passed as `permissions.existing_role` must allow it."
  value = nonsensitive(jsonencode({
    Version = "2012-10-17"
    Statement = flatten([
      for sid, statements in merge(local.execution_statements, local.managed_statements) : [for s in statements : merge({ Sid = sid, Effect = "Allow" }, s)]
    ])
  }))
}

output "function_arn" {
  description = "ARN of the Lambda function, without a version. Callers use `alias_arn`."
  value       = aws_lambda_function.this.arn
}

output "function_name" {
  description = "Name of the Lambda function."
  value       = nonsensitive(aws_lambda_function.this.function_name)
}

output "image_uri" {
  description = "Image of the newest version, by digest. Pass it to another environment's `image.uri` to promote this image."
  value       = nonsensitive(local.image_uri)
}

output "log_groups" {
  description = "Names of the log groups: `function` (the application's JSON lines) and `access` (the gateway's access log)."
  value = {
    access   = nonsensitive(aws_cloudwatch_log_group.access.name)
    function = nonsensitive(aws_cloudwatch_log_group.function.name)
  }
}

output "newest_version" {
  description = "Most recently published version. It serves unless `release.version` pins another."
  value       = aws_lambda_function.this.version
}

output "repository_name" {
  description = "Name of the ECR repository that builds are pushed to; null with `image.uri`."
  value = nonsensitive(local.builds && !local.own_repository ? regex("^[^/]+/(.+)$", local.repository_url)[0] : one([
    for repository in aws_ecr_repository.this : repository.name
  ]))
}

output "repository_url" {
  description = "URL of the ECR repository, without a tag; null with `image.uri`."
  value       = nonsensitive(local.repository_url)
}

output "role_arn" {
  description = "ARN of the function's execution role."
  value       = local.role_arn
}

output "role_name" {
  description = "Name of the function's execution role, for attaching further policies."
  value       = nonsensitive(local.own_role ? aws_iam_role.execution[0].name : reverse(split("/", local.role_arn))[0])
}

output "source_hash" {
  description = "SHA-256 (hex) of everything that goes into the image; with `image.uri`, the image's digest. A build gets it as the argument SOURCE_HASH."
  value       = nonsensitive(local.source_hash)
}

output "version" {
  description = "Version that serves: pinned, or the newest."
  value       = nonsensitive(aws_lambda_alias.live.function_version)
}
