locals {
  # Prices of a GB-second: of requests, and of a provisioned environment, used or not.
  prices          = jsondecode(file("${path.module}/prices.json"))
  gb_second       = local.prices.gb_second[var.function.architecture]
  duration_price  = local.provisioned ? local.gb_second.on_provisioned : local.gb_second.on_demand
  request_price   = local.prices.lambda_request + local.prices.gateway_request
  environment_fee = local.provisioned ? var.provisioned_concurrency.min * var.function.memory_mb / 1024 * 300 * local.gb_second.provisioned : 0

  # The platform's log lines have what no metric has: memory used, billed time with initialisation, cold starts.
  # With SnapStart an environment is restored instead of initialised.
  dashboard_queries = [
    {
      title  = "Cost: dollars per 1,000 requests (${local.prices.region} list prices)"
      fields = "record.metrics.billedDurationMs * record.metrics.memorySizeMB / 1024000 as gb_seconds", filter = ""
      stats = format("(sum(gb_seconds) * %.10f + %.6f) / count(*) * 1000 + %.4f as usd",
        local.duration_price, local.environment_fee, local.request_price * 1000
      )
    },
    {
      title  = "Memory: used and configured, MB"
      fields = "record.metrics.maxMemoryUsedMB as used, record.metrics.memorySizeMB as configured", filter = ""
      stats  = "max(used) as used_mb, max(configured) as configured_mb"
    },
    {
      title  = "Cold: how often"
      fields = local.start_ms, filter = " and ispresent(start_ms)"
      stats  = "count(*) as cold_starts"
    },
    {
      title  = "Cold: how long the initialisation takes, ms"
      fields = local.start_ms, filter = " and ispresent(start_ms)"
      stats  = "pct(start_ms, 50) as p50_ms, pct(start_ms, 99) as p99_ms"
    },
  ]
  start_ms = "coalesce(record.metrics.restoreDurationMs, record.metrics.initDurationMs) as start_ms"

  gateway_metric = ["ApiId", aws_apigatewayv2_api.this.id, "Stage", aws_apigatewayv2_stage.default.name]
  alias_metric   = ["FunctionName", var.name, "Resource", "${var.name}:${aws_lambda_alias.live.name}"]

  # Four questions: availability, latency, cold starts, cost.
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
      [for i, query in local.dashboard_queries : {
        type = "log", width = 12, height = 6, x = (i % 2) * 12, y = 12 + floor(i / 2) * 6
        properties = {
          title  = query.title
          region = local.region
          view   = "timeSeries"
          query  = "SOURCE '${local.function_log_group}' | fields ${query.fields} | filter type = 'platform.report'${query.filter} | stats ${query.stats} by bin(5m)"
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
