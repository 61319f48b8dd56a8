# On the version that takes traffic, never on the alias: UpdateAlias of an alias with provisioned concurrency answers at once, and
# Lambda then moves the traffic by itself, with weights that the next plan would take away. So an apply warms a version, then moves
# the alias to it, and then lets the environments of the one before go: hence create_before_destroy, and the alias's depends_on.
locals {
  warm   = nonsensitive(var.provisioned_concurrency != null)
  scaled = local.warm ? nonsensitive(var.provisioned_concurrency.max != null) : false
}

# Owns that the version that serves has environments; how many is "fixed"'s or the scaler's after the first moment.
resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = local.warm ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [provisioned_concurrent_executions]

    # Before the environments are made, which are billed, and not only before the alias moves.
    precondition {
      condition     = local.gate_passed
      error_message = "Release refused, nothing was provisioned and the alias \"live\" was not touched: ${local.gate_refusal}"
    }
  }

  depends_on = [aws_lambda_invocation.smoke]
}

# The same for the version of a canary. Without one it stands for the version that serves, too, and then deletes nothing: a canary
# that ends is either released, when its environments stay, or given up, when they go. Were it taken away instead, they would always go.
resource "aws_lambda_provisioned_concurrency_config" "canary" {
  count = local.warm ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.canary ? aws_lambda_function.this.version : local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min
  skip_destroy                      = !local.canary

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [provisioned_concurrent_executions]
  }

  # One after the other: without a canary both speak of one version.
  depends_on = [aws_lambda_provisioned_concurrency_config.live]
}

# Without a scaler, the number itself. It deletes nothing, so that it may come and go with `max` while "live" keeps the environments.
resource "aws_lambda_provisioned_concurrency_config" "fixed" {
  count = local.warm && !local.scaled ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min
  skip_destroy                      = true

  # Not while the scaler is still there, nor before the version has its first environments.
  depends_on = [aws_appautoscaling_policy.version, aws_lambda_provisioned_concurrency_config.canary]
}

resource "aws_appautoscaling_target" "version" {
  count = local.scaled ? 1 : 0

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${local.released_version}"
  min_capacity       = var.provisioned_concurrency.min
  max_capacity       = var.provisioned_concurrency.max
  tags               = var.tags

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_lambda_provisioned_concurrency_config.canary]
}

resource "aws_appautoscaling_policy" "version" {
  count = local.scaled ? 1 : 0

  name               = "${var.name}-utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.version[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.version[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.version[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.provisioned_concurrency.target_utilization

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
