"""DeleteRouteSettings as Terraform sends it. The emulator confuses it with DeleteStage (sandbox/emulator_server/faults.py)."""

from __future__ import annotations

from harness.pytest_plugin import Apply
from sandbox.emulator import Emulator
from sandbox.overrides import AWS_PROVIDER

STAGE = """
resource "aws_apigatewayv2_api" "this" {
  name          = "route-settings"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "this" {
  depends_on = [aws_apigatewayv2_route.this]

  api_id = aws_apigatewayv2_api.this.id
  name   = "$default"

  dynamic "route_settings" {
    for_each = var.routes
    content {
      route_key              = route_settings.value
      throttling_burst_limit = 5
      throttling_rate_limit  = 5
    }
  }
}

# API Gateway rejects settings of a route that does not exist.
resource "aws_apigatewayv2_integration" "this" {
  api_id             = aws_apigatewayv2_api.this.id
  integration_type   = "HTTP_PROXY"
  integration_method = "ANY"
  integration_uri    = "https://example.com"
}

resource "aws_apigatewayv2_route" "this" {
  for_each = toset(["GET /orders/{id}", "POST /orders"])

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this.id}"
}

variable "routes" {
  type = set(string)
}

output "api" {
  value = aws_apigatewayv2_api.this.id
}
"""


def test_removing_route_settings_keeps_the_stage(apply: Apply, emulator: Emulator) -> None:
    root = apply(".", {"routes": ["GET /orders/{id}", "POST /orders"]}, files={"main.tf": AWS_PROVIDER + STAGE})
    root.apply(routes=["POST /orders"])
    stage = emulator.client("apigatewayv2").get_stage(ApiId=root.output("api", str), StageName="$default")
    assert list(stage["RouteSettings"]) == ["POST /orders"]
    root.assert_idempotent()
