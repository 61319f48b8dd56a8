# What the platform reports of each request only in its log: lines of type platform.report, written at system_log_level INFO.
resource "aws_cloudwatch_log_metric_filter" "memory" {
  count = local.memory_alarm ? 1 : 0

  name           = "max-memory-used"
  log_group_name = aws_cloudwatch_log_group.function.name
  pattern        = "{ $.type = \"platform.report\" }"

  # A namespace of its own instead of a dimension, since the log line does not contain the function's name.
  metric_transformation {
    namespace = "lambda_container_api/${var.name}"
    name      = "MaxMemoryUsed"
    value     = "$.record.metrics.maxMemoryUsedMB"
    unit      = "Megabytes"
  }
}

locals {
  gateway_dimensions = { ApiId = aws_apigatewayv2_api.this.id, Stage = aws_apigatewayv2_stage.default.name }
  alias_dimensions   = { FunctionName = aws_lambda_function.this.function_name, Resource = "${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}" }
  # Reserved concurrency belongs to the function, so its use is measured there and not by alias. So is spillover: environments are
  # per version and requests come through the alias, and the function's metric covers both, including a canary's.
  function_dimensions = { FunctionName = aws_lambda_function.this.function_name }

  # Nulls among the ARNs or names are ignored.
  alarm_actions = [for arn in try(var.alarms.actions, []) : arn if arn != null]
  alarms_off    = [for name in nonsensitive(try(var.alarms.off, [])) : name if name != null]
  memory_alarm  = nonsensitive(var.alarms != null) && !contains(local.alarms_off, "memory")

  # `requests`: periods with fewer requests do not count. Such an alarm is on an expression, and AWS bills it as two.
  alarm_definitions = nonsensitive(var.alarms == null) ? {} : {
    errors = {
      description = "The function failed (crash, time-out, out of memory): clients got 5xx."
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = local.alias_dimensions, statistic = "Sum"
      threshold   = var.alarms.errors, periods = 1, requests = 0, applies = true
    }
    server-errors = {
      description = "The API returned 5xx: the application or the gateway failed."
      namespace   = "AWS/ApiGateway", metric = "5xx", dimensions = local.gateway_dimensions, statistic = "Sum"
      threshold   = var.alarms.server_errors, periods = 1, requests = 0, applies = true
    }
    throttles = {
      description = "Lambda throttled requests for lack of concurrency."
      namespace   = "AWS/Lambda", metric = "Throttles", dimensions = local.alias_dimensions, statistic = "Sum"
      threshold   = var.alarms.throttles, periods = 1, requests = 0, applies = true
    }
    latency = {
      description = "p99 latency, as clients see it, was above the threshold (in ms) for fifteen minutes. Not evaluated below about 1,000 requests in five minutes."
      namespace   = "AWS/ApiGateway", metric = "Latency", dimensions = local.gateway_dimensions, statistic = "p99"
      threshold   = var.alarms.latency_p99_ms, periods = 3, requests = 0, applies = true
    }
    # One cold start is the whole average of a quiet API.
    latency-average = {
      description = "Average latency, as clients see it, was above the threshold (in ms) for fifteen minutes, with at least 20 requests in each five."
      namespace   = "AWS/ApiGateway", metric = "Latency", dimensions = local.gateway_dimensions, statistic = "Average"
      threshold   = var.alarms.latency_average_ms, periods = 3, requests = 20, applies = true
    }
    duration = {
      description = "A request took nearly as long (in ms) as function.timeout_seconds, after which Lambda ends it with an error."
      namespace   = "AWS/Lambda", metric = "Duration", dimensions = local.alias_dimensions, statistic = "Maximum"
      threshold   = var.function.timeout_seconds * 1000 * var.alarms.duration_percent / 100
      periods     = 1, requests = 0, applies = true
    }
    memory = {
      description = "An environment used nearly all (in MB) of function.memory_mb, above which Lambda kills it."
      namespace   = "lambda_container_api/${var.name}", metric = "MaxMemoryUsed", dimensions = {}, statistic = "Maximum"
      threshold   = ceil(var.function.memory_mb * var.alarms.memory_percent / 100)
      periods     = 1, requests = 0, applies = true
    }
    concurrency = {
      description = "Concurrent requests are close to function.reserved_concurrency, above which Lambda throttles."
      namespace   = "AWS/Lambda", metric = "ConcurrentExecutions", dimensions = local.function_dimensions, statistic = "Maximum"
      threshold   = ceil(coalesce(var.function.reserved_concurrency, 0) * var.alarms.concurrency_percent / 100)
      periods     = 1, requests = 0, applies = coalesce(var.function.reserved_concurrency, 0) > 0
    }
    spillover = {
      description = "Requests found no provisioned environment and had a cold start."
      namespace   = "AWS/Lambda", metric = "ProvisionedConcurrencySpilloverInvocations", dimensions = local.function_dimensions, statistic = "Sum"
      threshold   = var.alarms.spillover, periods = 1, requests = 0, applies = local.provisioned
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  #checkov:skip=CKV_LCA_13:The caller decides, by alarms.actions; without one the alarm shows in CloudWatch and notifies nobody
  for_each = { for name, alarm in local.alarm_definitions : name => alarm if nonsensitive(alarm.applies) && !contains(local.alarms_off, name) }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.requests > 0 ? null : each.value.namespace
  metric_name         = each.value.requests > 0 ? null : each.value.metric
  dimensions          = each.value.requests > 0 ? null : each.value.dimensions
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = each.value.requests > 0 ? null : 300
  evaluation_periods  = each.value.periods

  statistic                             = each.value.requests > 0 || startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic                    = startswith(each.value.statistic, "p") ? each.value.statistic : null
  evaluate_low_sample_count_percentiles = startswith(each.value.statistic, "p") ? "ignore" : null

  dynamic "metric_query" {
    for_each = each.value.requests > 0 ? { value = each.value.statistic, requests = "SampleCount" } : {}

    content {
      id = metric_query.key

      metric {
        namespace   = each.value.namespace
        metric_name = each.value.metric
        dimensions  = each.value.dimensions
        period      = 300
        stat        = metric_query.value
      }
    }
  }

  dynamic "metric_query" {
    for_each = each.value.requests > 0 ? [each.value.requests] : []

    content {
      id          = "enough"
      label       = each.key
      expression  = "IF(requests >= ${metric_query.value}, value, 0)"
      return_data = true
    }
  }

  # An idle API has no data and is healthy.
  treat_missing_data = "notBreaching"

  alarm_actions = local.alarm_actions
  ok_actions    = local.alarm_actions
  tags          = var.tags
}
