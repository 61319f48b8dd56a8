# On the version that takes traffic, never on the alias: UpdateAlias of an alias with provisioned concurrency returns at once, and
# Lambda then shifts the traffic by itself, with weights that the next plan would remove. So an apply initialises a version, moves
# the alias to it, and then deletes the previous version's environments: hence create_before_destroy, and the alias's depends_on.
locals {
  provisioned = nonsensitive(var.provisioned_concurrency != null)
  autoscaled  = local.provisioned ? nonsensitive(var.provisioned_concurrency.max != null) : false
}

# Creates and deletes the environments of the version that serves. After creation, "fixed" or Auto Scaling sets their number.
resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = local.provisioned ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [provisioned_concurrent_executions]

    # Here as well as on the alias: environments are billed as soon as they are created.
    precondition {
      condition     = local.gate_passed
      error_message = "Release refused: nothing was provisioned, and the alias \"live\" is unchanged. ${local.gate_refusal}"
    }
  }

  depends_on = [aws_lambda_invocation.smoke]
}

# The same for a canary's version. Without a canary it refers to the version that serves and deletes nothing: when a canary is
# released its environments stay, and when it is abandoned they are deleted. A count of 0 would always delete them.
resource "aws_lambda_provisioned_concurrency_config" "canary" {
  count = local.provisioned ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.canary ? aws_lambda_function.this.version : local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min
  skip_destroy                      = !local.canary

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [provisioned_concurrent_executions]
  }

  # In sequence: without a canary both configure the same version.
  depends_on = [aws_lambda_provisioned_concurrency_config.live]
}

# The number of environments without Auto Scaling. It deletes nothing, so it can come and go with `max` while "live" keeps them.
resource "aws_lambda_provisioned_concurrency_config" "fixed" {
  count = local.provisioned && !local.autoscaled ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = local.released_version
  provisioned_concurrent_executions = var.provisioned_concurrency.min
  skip_destroy                      = true

  # After Auto Scaling is deleted, and after the version has its first environments.
  depends_on = [aws_appautoscaling_policy.version, aws_lambda_provisioned_concurrency_config.canary]
}

resource "aws_appautoscaling_target" "version" {
  count = local.autoscaled ? 1 : 0

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
  count = local.autoscaled ? 1 : 0

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
