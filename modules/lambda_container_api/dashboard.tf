locals {
  # Four questions: availability, latency, cold starts, cost.
  gateway_metric = ["ApiId", aws_apigatewayv2_api.this.id, "Stage", aws_apigatewayv2_stage.default.name]
  alias_metric   = ["FunctionName", var.name, "Resource", "${var.name}:${aws_lambda_alias.live.name}"]

  dashboard_widgets = [
    { title = "Up: failures, and requests (right)", unit = "failures", metrics = [
      # On its own axis: next to thousands of requests, a few failures would be a flat line.
      concat(["AWS/ApiGateway", "Count"], local.gateway_metric, [{ stat = "Sum", label = "requests", yAxis = "right" }]),
      concat(["AWS/ApiGateway", "4xx"], local.gateway_metric, [{ stat = "Sum", label = "4xx: the caller's" }]),
      concat(["AWS/ApiGateway", "5xx"], local.gateway_metric, [{ stat = "Sum", label = "5xx: ours" }]),
      concat(["AWS/Lambda", "Errors"], local.alias_metric, [{ stat = "Sum", label = "function failures" }]),
      concat(["AWS/Lambda", "Throttles"], local.alias_metric, [{ stat = "Sum", label = "throttled" }]),
    ] },
    { title = "Fast: latency as callers see it", unit = "ms", metrics = [
      concat(["AWS/ApiGateway", "Latency"], local.gateway_metric, [{ stat = "p50", label = "p50" }]),
      concat(["AWS/ApiGateway", "Latency"], local.gateway_metric, [{ stat = "p90", label = "p90" }]),
      concat(["AWS/ApiGateway", "Latency"], local.gateway_metric, [{ stat = "p99", label = "p99" }]),
      concat(["AWS/ApiGateway", "IntegrationLatency"], local.gateway_metric, [{ stat = "p99", label = "p99, function only" }]),
    ] },
    { title = "Cold: environments and spillover", unit = "environments", metrics = [
      ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", var.name, { stat = "Maximum", label = "requests at once" }],
      # Of all versions, since each has its own environments.
      ["AWS/Lambda", "ProvisionedConcurrentExecutions", "FunctionName", var.name, { stat = "Maximum", label = "on provisioned environments" }],
      ["AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations", "FunctionName", var.name, { stat = "Sum", label = "spilled to cold starts" }],
    ] },
    { title = "Cost: GB-seconds, and invocations (right)", unit = "GB-s", metrics = [
      [{ expression = "FILL(duration, 0) * ${var.function.memory_mb / 1024} / 1000", label = "GB-seconds", id = "gbs" }],
      concat(["AWS/Lambda", "Duration"], local.alias_metric, [{ stat = "Sum", id = "duration", visible = false }]),
      concat(["AWS/Lambda", "Invocations"], local.alias_metric, [{ stat = "Sum", label = "invocations", yAxis = "right" }]),
    ] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = nonsensitive(var.dashboard) ? 1 : 0

  dashboard_name = "${var.name}-${local.region}"
  dashboard_body = jsonencode({
    widgets = concat(
      [for i, widget in local.dashboard_widgets : {
        type = "metric", width = 12, height = 6, x = (i % 2) * 12, y = floor(i / 2) * 6
        properties = {
          title = widget.title, region = local.region, view = "timeSeries", period = 300, metrics = widget.metrics
          yAxis = { left = { min = 0, label = widget.unit, showUnits = false } }
        }
      }],
      # With SnapStart an environment is restored instead of initialised.
      [for i, stats in ["count(*) as cold_starts", "pct(start_ms, 50) as p50_ms, pct(start_ms, 99) as p99_ms"] : {
        type = "log", width = 12, height = 6, x = i * 12, y = 12
        properties = {
          title  = ["Cold: how often", "Cold: how long the initialisation takes, ms"][i]
          region = local.region
          view   = "timeSeries"
          query  = "SOURCE '${local.function_log_group}' | fields coalesce(record.metrics.restoreDurationMs, record.metrics.initDurationMs) as start_ms | filter type = 'platform.report' and ispresent(start_ms) | stats ${stats} by bin(5m)"
        }
      }],
    )
  })

  # The name includes the region: see aws_iam_role.execution.
  lifecycle {
    ignore_changes       = [dashboard_name]
    replace_triggered_by = [terraform_data.location]
  }
}
