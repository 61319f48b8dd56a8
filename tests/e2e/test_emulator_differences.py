"""Everything that the emulator can hold, applied at once: what it then describes otherwise than it was told is one list.

A difference that is not listed fails, and so does a listed one that no longer occurs. The list, with its reasons, is
emulator_differences.yaml; what the emulator cannot show at all is written down there too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway
from tests.e2e.test_auth import Issuer

NAME = "everything-e2e"
DIFFERENCES = Path(__file__).with_name("emulator_differences.yaml")

MODULE = """
  name = "{name}"
  auth = {{ jwt = {{ issuer = "{issuer.url}", audience = ["{issuer.ours}"] }} }}

  alarms = {{ actions = [aws_sns_topic.alarms.arn] }}

  api = {{
    cors   = {{ allow_origins = ["https://app.example.com"], allow_methods = ["GET"] }}
    domain = {{
      name                  = "api.example.com"
      certificate_arn       = aws_acm_certificate.this.arn
      route53               = {{ zone_id = aws_route53_zone.this.zone_id }}
      keep_default_endpoint = true
    }}
    throttle = {{ rate_per_second = 50, burst = 100 }}
  }}

  function = {{
    memory_mb            = 256
    timeout_seconds      = 15
    ephemeral_storage_mb = 1024
    reserved_concurrency = 20
    environment          = {{ GREETING = "hello" }}
    secrets              = {{ TOKEN_ARN = aws_secretsmanager_secret.token.arn }}
    kms_key_arn          = aws_kms_key.this.arn
    tracing              = true
    asynchronous         = {{ retries = 1, on_failure = {{ arn = aws_sns_topic.alarms.arn }} }}
  }}

  logs                    = {{ retention_days = 400, level = "DEBUG", kms_key_arn = aws_kms_key.this.arn }}
  provisioned_concurrency = {{ min = 1 }}

  routes = {{
    "GET /healthz" = {{ auth = {{ public = {{ reason = "Load balancers ask it" }} }}, throttle = {{ rate_per_second = 5, burst = 5 }} }}
  }}

  tags = {{ team = "people" }}
"""
ROOT = """
resource "aws_kms_key" "this" {}

resource "aws_secretsmanager_secret" "token" {
  name = "everything-e2e-token"
}

resource "aws_sns_topic" "alarms" {
  name = "everything-e2e-alarms"
}

resource "aws_route53_zone" "this" {
  name = "example.com"
}

resource "aws_acm_certificate" "this" {
  domain_name       = "api.example.com"
  validation_method = "DNS"
}
"""


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, aws: Callable[[str], Any]) -> Root:
    module = MODULE.format(name=NAME, issuer=Issuer(aws("cognito-idp")))
    made = example("minimal", module=module + hello)
    made.write("around.tf", ROOT)
    made.apply()
    return made


def test_only_listed_differences_remain_after_an_apply(root: Root) -> None:
    listed = yaml.safe_load(DIFFERENCES.read_text())["differences"]
    expected = {(resource, name) for entry in listed for resource in entry["resources"] for name in entry["attributes"]}
    found = set()
    for line in root.plan().described():
        address, actions, attributes = line.split(": ", 2)
        assert actions == "update", line
        resource = address.removeprefix("module.api.")
        found |= {(resource, attribute) for attribute in attributes.split(", ")}
    for difference, meaning in ((found - expected, "not listed"), (expected - found, "listed, but gone by now")):
        assert not difference, "\n".join(
            [meaning, *(f"{resource}: {attribute}" for resource, attribute in sorted(difference))]
        )


def test_every_listed_difference_has_a_reason() -> None:
    text = yaml.safe_load(DIFFERENCES.read_text())
    assert all(len(entry["reason"]) > 20 for entry in [*text["differences"], *text["not_shown"]])


def test_the_open_route_answers(root: Root, emulator: Emulator, aws: Callable[[str], Any]) -> None:
    (api,) = [api for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    with gateway(emulator, api["ApiEndpoint"]) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 401


def test_the_dashboard_asks_for_metrics_that_exist_here(root: Root, aws: Callable[[str], Any]) -> None:
    (name,) = [
        d["DashboardName"]
        for d in aws("cloudwatch").list_dashboards()["DashboardEntries"]
        if NAME in d["DashboardName"]
    ]
    body = json.loads(aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    metrics = {
        (metric[0], metric[1])
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if not isinstance(metric[0], dict)
    }
    assert metrics >= {("AWS/ApiGateway", "5xx"), ("AWS/ApiGateway", "Latency"), ("AWS/Lambda", "Errors")}
    logs = [widget for widget in body["widgets"] if widget["type"] == "log"]
    assert all(f"/aws/lambda/{NAME}" in log["properties"]["query"] for log in logs)
