# Always on the alias: a version's own would stay behind when the alias moves on.
# With scaling, the number belongs to the scaler after the first apply; without, to this configuration. Never to both.
locals {
  scaled = var.provisioned_concurrency == null ? false : var.provisioned_concurrency.max != null
}

resource "aws_lambda_provisioned_concurrency_config" "fixed" {
  count = var.provisioned_concurrency != null && !local.scaled ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.provisioned_concurrency.min
}

resource "aws_lambda_provisioned_concurrency_config" "scaled" {
  count = local.scaled ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.provisioned_concurrency.min

  lifecycle {
    ignore_changes = [provisioned_concurrent_executions]
  }
}

resource "aws_appautoscaling_target" "live" {
  count = local.scaled ? 1 : 0

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = "function:${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}"
  min_capacity       = var.provisioned_concurrency.min
  max_capacity       = var.provisioned_concurrency.max
  tags               = var.tags

  depends_on = [aws_lambda_provisioned_concurrency_config.scaled]
}

resource "aws_appautoscaling_policy" "live" {
  count = local.scaled ? 1 : 0

  name               = "${var.name}-utilization"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.live[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.live[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.live[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.provisioned_concurrency.target_utilization

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }
}
