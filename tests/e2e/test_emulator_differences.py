"""One root with every feature that the emulator supports: the plan after the apply differs only as emulator_differences.yaml says.

Unlisted and obsolete differences both fail. The file also lists what the emulator does not support.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway
from tests.e2e.test_auth import Issuer
from tuning.model import Prices

NAME = "everything-e2e"
DIFFERENCES = Path(__file__).with_name("emulator_differences.yaml")

MODULE = """
  name = "{name}"
  auth = {{ jwt = {{ issuer = "{issuer.url}", audience = ["{issuer.audience}"] }} }}

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
    "GET /healthz" = {{ auth = {{ public = {{ reason = "Used by load balancers" }} }}, throttle = {{ rate_per_second = 5, burst = 5 }} }}
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
    root = example("minimal", module=module + hello)
    root.write("dependencies.tf", ROOT)
    root.apply()
    return root


def test_plan_after_apply_shows_only_listed_differences(root: Root) -> None:
    known = yaml.safe_load(DIFFERENCES.read_text())["differences"]
    expected = {(resource, name) for entry in known for resource in entry["resources"] for name in entry["attributes"]}
    found = set()
    for line in root.plan().described():
        address, actions, attributes = line.split(": ", 2)
        assert actions == "update", line
        resource = address.removeprefix("module.api.")
        found |= {(resource, attribute) for attribute in attributes.split(", ")}
    for difference, problem in ((found - expected, "not listed"), (expected - found, "listed, but obsolete")):
        assert not difference, "\n".join(
            [problem, *(f"{resource}: {attribute}" for resource, attribute in sorted(difference))]
        )


def test_every_listed_difference_has_a_reason() -> None:
    known = yaml.safe_load(DIFFERENCES.read_text())
    assert all(len(entry["reason"]) > 20 for entry in [*known["differences"], *known["not_supported"]])


def test_public_route_needs_no_token(root: Root, emulator: Emulator, aws: Callable[[str], Any]) -> None:
    (api,) = [api for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    with gateway(emulator, api["ApiEndpoint"]) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/").status_code == 401


def test_dashboard_metrics_and_log_groups_exist(root: Root, aws: Callable[[str], Any]) -> None:
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


def test_dashboard_charges_what_the_price_table_says(root: Root, aws: Callable[[str], Any]) -> None:
    # 256 MB, and one provisioned environment.
    (name,) = [
        d["DashboardName"]
        for d in aws("cloudwatch").list_dashboards()["DashboardEntries"]
        if NAME in d["DashboardName"]
    ]
    body = json.loads(aws("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    (query,) = [w["properties"]["query"] for w in body["widgets"] if "dollars" in w["properties"]["title"]]
    formula = re.search(
        r"\(sum\(gb_seconds\) \* ([\d.]+) \+ ([\d.]+)\) / count\(\*\) \* 1000 \+ ([\d.]+) as usd", query
    )
    assert formula, query
    prices = Prices.of("x86_64")
    five_minutes = 0.25 * 300 * prices.provisioned
    assert [float(number) for number in formula.groups()] == pytest.approx(
        [prices.on_provisioned, five_minutes, 1000 * prices.request], rel=0.01
    )
