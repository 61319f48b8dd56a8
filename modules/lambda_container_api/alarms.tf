locals {
  gateway_dimensions = { ApiId = aws_apigatewayv2_api.this.id, Stage = aws_apigatewayv2_stage.default.name }
  alias_dimensions   = { FunctionName = aws_lambda_function.this.function_name, Resource = "${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}" }
  # Reserved concurrency belongs to the function, so its use is measured there and not by alias. So is spillover: environments are
  # per version and requests come through the alias, and the function's metric covers both, including a canary's.
  function_dimensions = { FunctionName = aws_lambda_function.this.function_name }

  # Nulls among the ARNs or names are ignored.
  alarm_actions = [for arn in try(var.alarms.actions, []) : arn if arn != null]
  alarms_off    = [for name in nonsensitive(try(var.alarms.off, [])) : name if name != null]

  alarm_definitions = nonsensitive(var.alarms == null) ? {} : {
    errors = {
      description = "The function failed (crash, time-out, out of memory): clients got 5xx."
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = local.alias_dimensions, statistic = "Sum"
      threshold   = var.alarms.errors, periods = 1, applies = true
    }
    server-errors = {
      description = "The API returned 5xx: the application or the gateway failed."
      namespace   = "AWS/ApiGateway", metric = "5xx", dimensions = local.gateway_dimensions, statistic = "Sum"
      threshold   = var.alarms.server_errors, periods = 1, applies = true
    }
    throttles = {
      description = "Lambda throttled requests for lack of concurrency."
      namespace   = "AWS/Lambda", metric = "Throttles", dimensions = local.alias_dimensions, statistic = "Sum"
      threshold   = var.alarms.throttles, periods = 1, applies = true
    }
    latency = {
      description = "p99 latency, as clients see it, was above the threshold (in ms) for fifteen minutes."
      namespace   = "AWS/ApiGateway", metric = "Latency", dimensions = local.gateway_dimensions, statistic = "p99"
      threshold   = var.alarms.latency_p99_ms, periods = 3, applies = true
    }
    concurrency = {
      description = "Concurrent requests are close to function.reserved_concurrency, above which Lambda throttles."
      namespace   = "AWS/Lambda", metric = "ConcurrentExecutions", dimensions = local.function_dimensions, statistic = "Maximum"
      threshold   = ceil(coalesce(var.function.reserved_concurrency, 0) * var.alarms.concurrency_percent / 100)
      periods     = 1, applies = coalesce(var.function.reserved_concurrency, 0) > 0
    }
    spillover = {
      description = "Requests found no provisioned environment and had a cold start."
      namespace   = "AWS/Lambda", metric = "ProvisionedConcurrencySpilloverInvocations", dimensions = local.function_dimensions, statistic = "Sum"
      threshold   = var.alarms.spillover, periods = 1, applies = local.provisioned
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  #checkov:skip=CKV_LCA_13:The caller decides, by alarms.actions; without one the alarm shows in CloudWatch and notifies nobody
  for_each = { for name, alarm in local.alarm_definitions : name => alarm if nonsensitive(alarm.applies) && !contains(local.alarms_off, name) }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods

  statistic                             = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic                    = startswith(each.value.statistic, "p") ? each.value.statistic : null
  evaluate_low_sample_count_percentiles = startswith(each.value.statistic, "p") ? "ignore" : null

  # An idle API has no data and is healthy.
  treat_missing_data = "notBreaching"

  alarm_actions = local.alarm_actions
  ok_actions    = local.alarm_actions
  tags          = var.tags
}
