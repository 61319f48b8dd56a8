locals {
  # The versions that take traffic after this apply. Each must pass the gate first; no other version is invoked.
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
      error_message = "Release refused: the alias \"live\" is unchanged. ${local.gate_refusal}"
    }

    precondition {
      condition     = !local.canary || local.released_version != aws_lambda_function.this.version
      error_message = "release.canary_percent needs two versions, but release.version (${local.released_version}) is the newest one: pin the version that serves now, then deploy the next one."
    }

    precondition {
      condition     = local.stopped || (local.pinned && !local.canary) || length(local.unpublished) == 0
      error_message = <<-EOT
        Version ${aws_lambda_function.this.version} is the newest, but it does not match this configuration (${join(", ", local.unpublished)}): an apply was interrupted after it updated the function and before
        it published the update. The version that serves is unaffected. Publish the update, then apply again; the gate tests the new version like any other:
          aws lambda publish-version --region ${local.region} --function-name ${var.name}
      EOT
    }
  }

  # All of its environments are initialised before it takes traffic.
  depends_on = [
    aws_appautoscaling_policy.version,
    aws_lambda_provisioned_concurrency_config.canary,
    aws_lambda_provisioned_concurrency_config.fixed,
  ]
}

# The last published version, which is not always what the function's last update holds. Unknown while this apply has to publish. Through
# a local: Terraform defers a data source that names a resource until any change of that resource is applied, even one that publishes nothing.
locals {
  newest = { function = aws_lambda_function.this.function_name, version = aws_lambda_function.this.version }
}

data "aws_lambda_function" "newest" {
  function_name = local.newest.function
  qualifier     = local.newest.version
}

locals {
  # All attributes of a version that the data source returns; the others are in `description`. A mocked provider returns another version.
  unpublished = nonsensitive(data.aws_lambda_function.newest.version != aws_lambda_function.this.version ? [] : [
    for attribute in [
      "architectures", "description", "environment", "ephemeral_storage", "file_system_config", "image_uri", "kms_key_arn", "logging_config", "memory_size", "role",
      "timeout", "tracing_config", "vpc_config",
    ] : attribute
    if replace(jsonencode(aws_lambda_function.this[attribute]), "null", "\"\"") != replace(jsonencode(data.aws_lambda_function.newest[attribute]), "null", "\"\"")
  ])
}
