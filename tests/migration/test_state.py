"""The inventory of a Terraform state: format 4, and `terraform show -json` with modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migration import state
from migration.__main__ import main
from migration.build import build
from migration.errors import MigrationError
from migration.inventory import INCOMPLETE
from migration.model import Inventory
from tests.migration.parts import ACCOUNT, ARN

API = "arn:aws:apigateway:eu-central-1::/apis/h1"
RESOURCES: dict[str, list[dict[str, Any]]] = {
    "aws_apigatewayv2_api": [
        {
            "id": "h1",
            "name": "people",
            "protocol_type": "HTTP",
            "arn": API,
            "cors_configuration": [{"allow_origins": ["*"]}],
        }
    ],
    "aws_apigatewayv2_stage": [{"api_id": "h1", "name": "$default", "stage_variables": None}],
    "aws_apigatewayv2_authorizer": [
        {
            "id": "a1",
            "api_id": "h1",
            "name": "t",
            "jwt_configuration": [{"issuer": "https://i.example", "audience": ["p"]}],
        }
    ],
    "aws_apigatewayv2_integration": [
        {"id": "i1", "api_id": "h1", "integration_uri": f"{ARN}:Get", "payload_format_version": "2.0"}
    ],
    "aws_apigatewayv2_route": [
        {
            "api_id": "h1",
            "route_key": "GET /users",
            "target": "integrations/i1",
            "authorization_type": "JWT",
            "authorizer_id": "a1",
            "authorization_scopes": ["read"],
        }
    ],
    "aws_lambda_function": [
        {
            "arn": f"{ARN}:Get",
            "function_name": "Get",
            "runtime": "python3.12",
            "handler": "app.handler",
            "memory_size": 256,
            "timeout": 40,
            "role": f"arn:aws:iam::{ACCOUNT}:role/Get",
            "environment": [{"variables": {"PASSWORD": "hunter2"}}],
            "reserved_concurrent_executions": -1,
            "vpc_config": [{"subnet_ids": ["subnet-1"]}],
        }
    ],
    "aws_lambda_permission": [
        {"function_name": "Get", "principal": "sns.amazonaws.com", "source_arn": "arn:aws:sns:eu-central-1:1:topic"}
    ],
    "aws_lambda_event_source_mapping": [
        {"function_arn": f"{ARN}:Get", "event_source_arn": "arn:aws:sqs:eu-central-1:1:q"}
    ],
}


def format_4(resources: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    found = [
        {"mode": "managed", "type": kind, "instances": [{"attributes": each} for each in instances]}
        for kind, instances in resources.items()
    ]
    return {"version": 4, "resources": [*found, {"mode": "data", "type": "aws_region", "instances": [{}]}]}


def shown(resources: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    found = [
        {"mode": "managed", "type": kind, "values": each} for kind, instances in resources.items() for each in instances
    ]
    return {"format_version": "1.0", "values": {"root_module": {"child_modules": [{"resources": found}]}}}


def inventory(content: dict[str, Any], folder: Path) -> Inventory:
    file = folder / "terraform.tfstate"
    file.write_text(json.dumps(content))
    parts, unread, region = state.read(state.load(file))
    return build("state", region, parts, unread, [])


@pytest.mark.parametrize("form", [format_4, shown])
def test_state_has_the_same_routes_and_risks_as_an_account(form: Any, tmp_path: Path) -> None:
    found = inventory(form(RESOURCES), tmp_path)
    (api,), (function,) = found.apis, found.functions.values()
    (route,) = api.routes

    assert (route.key, route.function_arn, route.payload, route.unmapped) == ("GET /users", f"{ARN}:Get", "2.0", "")
    assert (route.auth.issuer, route.auth.audience, route.auth.scopes) == ("https://i.example", ("p",), ("read",))
    assert (api.region, {risk.code for risk in api.risks}) == ("eu-central-1", {"cors"})
    assert {"timeout", "vpc", "other-triggers", "environment"} <= {risk.code for risk in function.risks}
    assert function.triggers == ("arn:aws:sqs:eu-central-1:1:q", "sns.amazonaws.com (arn:aws:sns:eu-central-1:1:topic)")
    assert "hunter2" not in json.dumps(found.as_json())
    assert found.complete


def test_function_of_another_state_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "terraform.tfstate"
    file.write_text(json.dumps(format_4({**RESOURCES, "aws_lambda_function": []})))
    assert main(["inventory", "--state", str(file), "--out", str(tmp_path / "out")]) == INCOMPLETE
    text = capsys.readouterr()
    assert "function/Get (aws_lambda_function): the state does not contain it" in text.out
    assert "read the account instead" in text.err
    assert f'"{ARN}:Get"' in (tmp_path / "out/people.tfvars").read_text()


def test_api_whose_routes_are_in_its_body_is_named(tmp_path: Path) -> None:
    api = RESOURCES["aws_apigatewayv2_api"][0] | {"body": "openapi: 3.0.1"}
    found = inventory(format_4({"aws_apigatewayv2_api": [api]}), tmp_path)
    assert [each.part for each in found.unread] == ["http/h1/routes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"version": 3}', "neither a Terraform state of format 4"),
        ('{"format_version": "1.2", "planned_values": {}}', "neither a Terraform state of format 4"),
        ("[]", "neither a Terraform state of format 4"),
    ],
)
def test_file_that_is_no_state_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(MigrationError, match=message):
        state.load(file)


def test_state_without_an_api_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "terraform.tfstate"
    file.write_text(json.dumps(format_4({})))
    assert main(["inventory", "--state", str(file), "--out", str(tmp_path)]) == 1
    assert "contains no REST or HTTP API" in capsys.readouterr().err
