locals {
  # The versions that take traffic once this apply is done: each must answer first, and no other is asked.
  pinned           = nonsensitive(var.release.version != null)
  canary           = nonsensitive(var.release.canary_percent > 0)
  released_version = local.pinned ? nonsensitive(tostring(var.release.version)) : aws_lambda_function.this.version
  gated_versions = merge(
    { live = local.released_version },
    local.canary ? { canary = aws_lambda_function.this.version } : {},
  )
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

  # All of its environments ready before it takes traffic.
  depends_on = [
    aws_appautoscaling_policy.version,
    aws_lambda_provisioned_concurrency_config.canary,
    aws_lambda_provisioned_concurrency_config.fixed,
  ]
}

# What was published last, which is not what an update has left in the function. Unknown as long as this apply is to publish. Through
# a local, since Terraform reads what names a resource itself only after any change of that resource, though it publish nothing.
locals {
  newest = { function = aws_lambda_function.this.function_name, version = aws_lambda_function.this.version }
}

data "aws_lambda_function" "newest" {
  function_name = local.newest.function
  qualifier     = local.newest.version
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
