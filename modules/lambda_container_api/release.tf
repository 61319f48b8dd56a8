locals {
  # The versions that take traffic once this apply is done: each must answer first, and no other is asked.
  pinned           = nonsensitive(var.release.version != null)
  canary           = nonsensitive(var.release.canary_percent > 0)
  released_version = local.pinned ? nonsensitive(tostring(var.release.version)) : aws_lambda_function.this.version
  gated_versions = merge(
    { live = local.released_version },
    local.canary ? { canary = aws_lambda_function.this.version } : {},
  )

  smoke = var.release.smoke
  smoke_event = {
    version        = "2.0"
    routeKey       = "$default"
    rawPath        = local.smoke.path
    rawQueryString = ""
    headers        = { host = "release-gate.invalid", user-agent = "lambda_container_api/release-gate" }
    requestContext = {
      accountId    = "anonymous"
      apiId        = "release-gate"
      domainName   = "release-gate.invalid"
      domainPrefix = "release-gate"
      http = {
        method    = local.smoke.method
        path      = local.smoke.path
        protocol  = "HTTP/1.1"
        sourceIp  = "127.0.0.1"
        userAgent = "lambda_container_api/release-gate"
      }
      requestId = "release-gate"
      routeKey  = "$default"
      stage     = "$default"
      time      = "01/Jan/2025:00:00:00 +0000"
      timeEpoch = 1735689600000
    }
    isBase64Encoded = false
  }
  smoke_answers = { for k, invocation in aws_lambda_invocation.smoke : k => try(jsondecode(invocation.result), null) }

  gate_passed  = alltrue([for answer in values(local.smoke_answers) : try(answer.statusCode == local.smoke.status, false)])
  gate_refusal = <<-EOT
    the version that served before still serves. Which one:
      aws lambda get-alias --region ${local.region} --function-name ${var.name} --name live --query FunctionVersion --output text
    Asked ${local.smoke.method} ${local.smoke.path} of version ${join(" and ", values(local.gated_versions))}, expected status ${local.smoke.status}, and got:
    ${join("\n", [for k, answer in local.smoke_answers : "  ${k}: ${try("status ${answer.statusCode}: ${substr(tostring(answer.body), 0, 500)}", "no HTTP response: ${substr(jsonencode(answer), 0, 500)}")}"])}
    Mend the source and apply again; or, where only its surroundings were broken, ask the same version once more with
    terraform apply -replace='${join("' -replace='", [for k in keys(local.smoke_answers) : "<this module>.aws_lambda_invocation.smoke[\"${k}\"]"])}'
  EOT
}

resource "aws_lambda_invocation" "smoke" {
  for_each = local.gated_versions

  function_name = aws_lambda_function.this.function_name
  qualifier     = each.value
  input         = jsonencode(local.smoke_event)
  triggers      = { version = each.value }

  lifecycle {
    precondition {
      condition     = each.value != "$LATEST"
      error_message = "function.reserved_concurrency = 0 stops the function, so no version can be asked whether it answers: none is published meanwhile. For the first release let it be null or above 0."
    }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that serves the API; every caller comes through here"
  function_name    = aws_lambda_function.this.function_name
  function_version = local.released_version

  dynamic "routing_config" {
    for_each = local.canary ? [var.release.canary_percent / 100] : []

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value }
    }
  }

  lifecycle {
    precondition {
      condition     = local.gate_passed
      error_message = "Release refused, the alias \"live\" was not touched: ${local.gate_refusal}"
    }

    precondition {
      condition     = !local.canary || local.released_version != aws_lambda_function.this.version
      error_message = "release.canary_percent needs two versions, but release.version (${local.released_version}) is the newest one: pin the version that serves now, then deploy the next one."
    }

    precondition {
      condition     = local.stopped || (local.pinned && !local.canary) || length(local.unpublished) == 0
      error_message = <<-EOT
        Version ${aws_lambda_function.this.version} is the newest, and it does not run what this configuration says (${join(", ", local.unpublished)}): an apply was interrupted after the function was updated and before
        the update was published. What serves goes on serving. Publish it, then apply again, and the gate asks the new version as any other:
          aws lambda publish-version --region ${local.region} --function-name ${var.name}
      EOT
    }
  }

  # Ready before it takes traffic.
  depends_on = [aws_appautoscaling_policy.version, aws_lambda_provisioned_concurrency_config.canary]
}

# What was published last, not what an update has left in the function. Unknown as long as this apply is to publish.
data "aws_lambda_function" "newest" {
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
}

locals {
  # All that a version has of its own and a data source tells; the rest is in `description`. A mocked provider answers for another version.
  unpublished = nonsensitive(data.aws_lambda_function.newest.version != aws_lambda_function.this.version ? [] : [
    for attribute in [
      "architectures", "description", "environment", "ephemeral_storage", "image_uri", "kms_key_arn", "logging_config", "memory_size", "role",
      "timeout", "tracing_config", "vpc_config",
    ] : attribute
    if replace(jsonencode(aws_lambda_function.this[attribute]), "null", "\"\"") != replace(jsonencode(data.aws_lambda_function.newest[attribute]), "null", "\"\"")
  ])
}
