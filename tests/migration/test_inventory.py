"""The inventory's rules, on parts of accounts as AWS returns them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hcl2
import pytest
from fastapi.openapi.models import OpenAPI

from migration import output
from migration.build import build
from migration.errors import MigrationError
from migration.model import Unread
from migration.order import order
from tests.migration.parts import (
    ACCOUNT,
    ARN,
    Parts,
    function,
    http,
    inventory,
    method,
    only_api,
    only_route,
    policy,
    rest,
)

JWT = {
    "AuthorizerId": "a1",
    "Name": "tokens",
    "JwtConfiguration": {"Issuer": "https://login.example.com", "Audience": ["people"]},
}


def codes(api_or_function: Any) -> set[str]:
    return {risk.code for risk in api_or_function.risks}


# REST method → part of the reason why it is not mapped.
REST_UNMAPPED = {
    "a CORS mock": ("OPTIONS /users", method(integration={"type": "MOCK", "uri": ""}), "api.cors"),
    "another mock": ("GET /ping", method(integration={"type": "MOCK", "uri": ""}), "fixed response"),
    "mapping templates": ("GET /users", method(integration={"type": "AWS"}), "mapping templates"),
    "an AWS service": (
        "POST /jobs",
        method(integration={"type": "AWS", "uri": "arn:aws:apigateway:eu-central-1:sqs:path/1/jobs"}),
        "calls an AWS service directly",
    ),
    "an HTTP backend": (
        "GET /old",
        method(integration={"type": "HTTP_PROXY", "uri": "https://old.example.com"}),
        "forwards to https://old.example.com",
    ),
    "no integration": ("GET /users", {"authorizationType": "NONE"}, "no integration"),
    "an unknown stage variable": (
        "GET /users",
        method("${stageVariables.name}"),
        "lacks a variable",
    ),
    "a path variable with a hyphen": ("GET /users/{user-id}", method(), "letters, digits and _"),
    "another region": ("GET /users", method(integration={"uri": f"{ARN}:Get".replace("central", "west")}), "eu-west-1"),
    "another account": (
        "GET /users",
        method(integration={"uri": f"{ARN}:Get".replace(ACCOUNT, "444455556666")}),
        "444455556666",
    ),
}
# REST method, attributes of its API or stage → code of the risk, and whether the route would let in more callers.
REST_RISKS: dict[str, tuple[dict[str, Any], Parts, Parts, str, bool]] = {
    "an API key only": ({"apiKeyRequired": True}, {}, {}, "api-key", True),
    "an API key and IAM": ({"apiKeyRequired": True, "authorizationType": "AWS_IAM"}, {}, {}, "api-key", False),
    "a validator": ({"requestValidatorId": "v1"}, {}, {}, "request-validator", False),
    "a long wait": ({"integration": {"timeoutInMillis": 60000}}, {}, {}, "gateway-timeout", False),
    "converted bodies": (
        {"integration": {"contentHandling": "CONVERT_TO_BINARY"}},
        {},
        {},
        "content-handling",
        False,
    ),
    "streaming": ({"integration": {"responseTransferMode": "STREAM"}}, {}, {}, "streaming", False),
    "an unread authorizer": (
        {"authorizationType": "CUSTOM", "authorizerId": "a9"},
        {},
        {},
        "unknown-authorizer",
        True,
    ),
    "a resource policy": ({}, {"policy": "{}"}, {}, "resource-policy", True),
    "a private API": ({}, {"endpointConfiguration": {"types": ["PRIVATE"]}}, {}, "private-api", True),
    "binary types": ({}, {"binaryMediaTypes": ["image/png"]}, {}, "binary-types", False),
    "compression": ({}, {"minimumCompressionSize": 0}, {}, "compression", False),
    "stage variables": ({}, {}, {"variables": {"table": "x"}}, "stage-variables", False),
    "a cache": ({}, {}, {"cacheClusterEnabled": True}, "cache", False),
    "a firewall": ({}, {}, {"webAclArn": "arn:aws:wafv2:x"}, "firewall", False),
}
# Configuration of a function → code of its risk.
FUNCTION_RISKS: dict[str, Parts] = {
    "timeout": {"Timeout": 30},
    "layers": {"Layers": [{"Arn": f"{ARN.replace('function', 'layer')}:common:3"}]},
    "vpc": {"VpcConfig": {"SubnetIds": ["subnet-1"]}},
    "environment": {"Environment": ["TABLE"]},
    "image": {"PackageType": "Image"},
}


@pytest.mark.parametrize("case", REST_UNMAPPED)
def test_rest_method_that_cannot_be_mapped_is_named_with_the_reason(case: str) -> None:
    key, described, reason = REST_UNMAPPED[case]
    found = inventory(rest({key: described}))

    ((_, route),) = found.unmapped
    assert (route.key, reason in route.unmapped) == (key, True), route.unmapped
    assert not found.complete
    assert order(found.apis[0], {}) == []
    assert f"# {key}: " in output.tfvars(found.apis[0], found)


@pytest.mark.parametrize("case", REST_RISKS)
def test_rest_feature_that_http_apis_lack_is_a_risk(case: str) -> None:
    attributes, api, stage, code, exposes = REST_RISKS[case]
    found = only_api(rest({"GET /users": method(**attributes)}, api, rest__r1__stages=[{"stageName": "prod"} | stage]))

    (route,) = found.routes
    assert code in codes(found) | codes(route)
    assert route.exposed is exposes
    assert not route.unmapped


def test_route_without_a_listed_feature_has_no_risk() -> None:
    found = inventory(rest({"GET /users": method()}) | function())
    assert codes(found.apis[0]) == {"stage-path"}
    assert codes(found.apis[0].routes[0]) == set()
    assert codes(found.functions[f"{ARN}:Get"]) == {"log-retention"}
    assert found.complete


def test_route_that_would_let_in_more_callers_is_written_as_a_comment() -> None:
    found = inventory(rest({"GET /users": method(apiKeyRequired=True), "GET /open": method()}))
    text = output.tfvars(found.apis[0], found)

    assert set(hcl2.loads(text)["routes"]) == {'"GET /open"'}
    assert '# "GET /users" = {' in text
    assert "requires an API key" in text


@pytest.mark.parametrize("code", FUNCTION_RISKS)
def test_property_of_a_function_is_a_risk(code: str) -> None:
    plain = inventory(rest({"GET /users": method()}) | function())
    found = inventory(rest({"GET /users": method()}) | function(**FUNCTION_RISKS[code]))
    (risky,), (ordinary,) = found.functions.values(), plain.functions.values()
    assert codes(risky) - codes(ordinary) == {code}


def test_two_functions_with_one_role_have_the_risk_of_a_shared_role() -> None:
    role = {"Role": f"arn:aws:iam::{ACCOUNT}:role/all"}
    parts = rest({"GET /users": method(), "POST /users": method("Add")})
    found = inventory(parts | function(**role) | function("Add", **role))
    assert all("shared-role" in codes(each) for each in found.functions.values())


def test_reserved_concurrency_and_an_alias_are_risks() -> None:
    parts = rest({"GET /users": method("Get:live")}) | function()
    parts["function/Get"]["Concurrency"] = {"ReservedConcurrentExecutions": 5}
    found = inventory(parts)
    (described,) = found.functions.values()
    assert {"reserved-concurrency", "alias"} <= codes(described)
    assert found.apis[0].routes[0].function_arn == f"{ARN}:Get:live"


@pytest.mark.parametrize(
    ("who", "source", "other"),
    [
        ("apigateway.amazonaws.com", "arn:aws:execute-api:eu-central-1:1:r1/*/*", False),
        ("apigateway.amazonaws.com", "arn:aws:execute-api:eu-central-1:1:r2/*/*", True),
        ("events.amazonaws.com", "arn:aws:events:eu-central-1:1:rule/nightly", True),
        ("s3.amazonaws.com", "arn:aws:s3:::uploads", True),
        ("sns.amazonaws.com", "arn:aws:sns:eu-central-1:1:topic", True),
    ],
)
def test_other_triggers_in_the_policy_are_a_risk(who: str, source: str, other: bool) -> None:
    parts = rest({"GET /users": method()}) | function() | {"function/Get/policy": policy((who, source))}
    (described,) = inventory(parts).functions.values()
    assert ("other-triggers" in codes(described)) is other


def test_event_source_mapping_is_a_risk() -> None:
    sources = [{"EventSourceArn": "arn:aws:sqs:eu-central-1:1:jobs"}]
    parts = rest({"GET /users": method()}) | function() | {"function/Get/sources": sources}
    (described,) = inventory(parts).functions.values()
    assert any("arn:aws:sqs:eu-central-1:1:jobs" in risk.text for risk in described.risks)


def test_custom_domain_and_usage_plan_are_risks_of_their_api_only() -> None:
    parts = rest({"GET /users": method()})
    parts["rest-usage-plans"] = [{"id": "p", "name": "gold", "apiStages": [{"apiId": "r1"}]}]
    parts["rest-domains/api.example.com"] = [
        {"restApiId": "r1", "basePath": "v1"},
        {"restApiId": "r2", "basePath": "x"},
    ]
    api = only_api(parts)
    assert api.domains == ("api.example.com/v1",)
    assert {"custom-domain", "usage-plan"} <= codes(api)


def test_stage_variables_name_the_function() -> None:
    stages = [{"stageName": "prod", "variables": {"function": "Get"}}]
    route = only_route(rest({"GET /users": method("${stageVariables.function}")}, rest__r1__stages=stages))
    assert (route.function_arn, route.unmapped) == (f"{ARN}:Get", "")


def test_of_several_stages_the_last_changed_is_read_unless_one_is_named() -> None:
    stages = [{"stageName": name, "lastUpdatedDate": date} for name, date in (("dev", "2026-02"), ("prod", "2026-01"))]
    parts = rest({"GET /users": method()}, rest__r1__stages=stages)
    assert (only_api(parts).stage, "stages" in codes(only_api(parts))) == ("dev", True)
    named = only_api(parts, stage="prod")
    assert (named.stage, "stages" in codes(named)) == ("prod", False)
    with pytest.raises(MigrationError, match="no stage test: --stage takes one of dev, prod"):
        only_api(parts, stage="test")


def test_cognito_authorizer_becomes_jwt_auth_with_the_pools_clients() -> None:
    authorizer = {
        "id": "a1",
        "name": "pool",
        "providerARNs": [f"arn:aws:cognito-idp:eu-central-1:{ACCOUNT}:userpool/p1"],
    }
    described = method(authorizationType="COGNITO_USER_POOLS", authorizerId="a1", authorizationScopes=["people/read"])
    parts = rest({"GET /users": described}, rest__r1__authorizers=[authorizer]) | {"user-pool/p1": ["client"]}
    found = inventory(parts)

    values = hcl2.loads(output.tfvars(found.apis[0], found))
    jwt = values["auth"]["jwt"]
    assert "cognito-idp.eu-central-1.amazonaws.com/p1" in json.dumps(jwt)
    assert "client" in json.dumps(jwt)
    assert "people/read" in json.dumps(values["routes"])


def test_authorizer_that_returns_policies_exposes_the_route() -> None:
    described = method(authorizationType="CUSTOM", authorizerId="a1")
    route = only_route(rest({"GET /users": described}, rest__r1__authorizers=[{"id": "a1", "name": "legacy"}]))
    assert route.exposed


# --- HTTP APIs ---


def test_http_route_keeps_payload_auth_and_scopes() -> None:
    routes: list[Parts] = [
        {
            "RouteKey": "GET /users",
            "Target": "integrations/i1",
            "AuthorizationType": "JWT",
            "AuthorizerId": "a1",
            "AuthorizationScopes": ["read"],
        },
        {"RouteKey": "POST /users", "Target": "integrations/i2", "AuthorizationType": "AWS_IAM"},
    ]
    integrations = [
        {"IntegrationId": "i1", "IntegrationUri": f"{ARN}:Get", "PayloadFormatVersion": "2.0"},
        {"IntegrationId": "i2", "IntegrationUri": f"{ARN}:Get", "PayloadFormatVersion": "1.0"},
    ]
    found = inventory(http(routes, integrations, http__h1__authorizers=[JWT]))
    get, post = found.apis[0].routes
    assert (get.payload, get.auth.issuer, get.auth.scopes) == ("2.0", "https://login.example.com", ("read",))
    assert (post.payload, post.auth.type) == ("1.0", "AWS_IAM")
    text = output.tfvars(found.apis[0], found)
    assert "iam = {}" in text
    assert "https://login.example.com" in text


@pytest.mark.parametrize(
    ("key", "integration", "reason"),
    [
        ("GET /users", {"IntegrationSubtype": "SQS-SendMessage"}, "calls an AWS service directly"),
        ("GET /users", {"IntegrationUri": "https://old.example.com"}, "forwards to https://old.example.com"),
        ("$default", {"IntegrationUri": f"{ARN}:Get"}, "the module's own route"),
    ],
)
def test_http_route_that_cannot_be_mapped_is_named(key: str, integration: dict[str, str], reason: str) -> None:
    parts = http([{"RouteKey": key, "Target": "integrations/i1"}], [{"IntegrationId": "i1"} | integration])
    assert reason in only_route(parts).unmapped


def test_routes_of_a_second_authorizer_are_not_mapped() -> None:
    second = JWT | {
        "AuthorizerId": "a2",
        "JwtConfiguration": {"Issuer": "https://other.example.com", "Audience": ["x"]},
    }
    routes = [
        {
            "RouteKey": f"GET /{name}",
            "Target": "integrations/i1",
            "AuthorizationType": "JWT",
            "AuthorizerId": authorizer,
        }
        for name, authorizer in (("a", "a1"), ("b", "a1"), ("c", "a2"))
    ]
    integrations = [{"IntegrationId": "i1", "IntegrationUri": f"{ARN}:Get"}]
    found = inventory(http(routes, integrations, http__h1__authorizers=[JWT, second]))
    assert [route.key for _, route in found.unmapped] == ["GET /c"]


def test_gateways_cors_is_a_risk_of_an_http_api() -> None:
    parts = http([], [], {"CorsConfiguration": {"AllowOrigins": ["https://shop.example.com"]}})
    assert "cors" in codes(only_api(parts))


# --- Order ---


def test_order_keeps_resources_together_and_puts_reads_and_little_risk_and_traffic_first() -> None:
    keys = {
        "DELETE /users/{id}": "DeleteUser",
        "GET /users": "ListUsers",
        "GET /users/{id}": "GetUser",
        "POST /users": "AddUser",
        "GET /orders": "ListOrders",
        "POST /orders": "AddOrder",
        "GET /notes": "ListNotes",
    }
    parts = rest({key: method(name) for key, name in keys.items()})
    for name in keys.values():
        parts |= function(name, Timeout=60 if name == "ListNotes" else 10)
    parts["invocations"] = {"ListUsers": 5, "GetUser": 1, "AddUser": 0, "DeleteUser": 0, "ListOrders": 900}
    found = inventory(parts)
    assert [step.route.key for step in order(found.apis[0], found.functions)] == [
        "GET /users/{id}",
        "GET /users",
        "POST /users",
        "DELETE /users/{id}",
        "GET /orders",
        "POST /orders",
        "GET /notes",
    ]


# --- Files ---


def test_text_of_the_account_cannot_become_a_template_of_terraform() -> None:
    authorizer = JWT | {"JwtConfiguration": {"Issuer": "https://x.example/${a}%{b}", "Audience": ["x"]}}
    routes = [{"RouteKey": "GET /u", "Target": "integrations/i1", "AuthorizationType": "JWT", "AuthorizerId": "a1"}]
    found = inventory(
        http(routes, [{"IntegrationId": "i1", "IntegrationUri": f"{ARN}:Get"}], http__h1__authorizers=[authorizer])
    )
    assert "$${a}%%{b}" in output.tfvars(found.apis[0], found)


def test_openapi_sketch_is_valid_and_has_every_route() -> None:
    keys = {"GET /users/{id}": "GetUser", "ANY /files/{path+}": "Files", "POST /users": "AddUser"}
    api = only_api(rest({key: method(name) for key, name in keys.items()}))
    document = OpenAPI.model_validate(output.openapi(api))
    assert document.paths is not None
    assert set(document.paths) == {"/users/{id}", "/files/{path}", "/users"}
    described = output.openapi(api)["paths"]
    assert len(described["/files/{path}"]) == 7
    identifiers = [operation["operationId"] for path in described.values() for operation in path.values()]
    assert len(identifiers) == len(set(identifiers)) == 9


def test_operations_are_named_as_their_functions_without_the_common_prefix() -> None:
    keys = {"GET /users": "shop-prod-ListUsers", "POST /users": "shop-prod-AddUser"}
    api = only_api(rest({key: method(name) for key, name in keys.items()}))
    assert output.operation_names(api) == {"GET /users": "list_users", "POST /users": "add_user"}


def test_stubs_never_replace_a_file_with_other_content(tmp_path: Path) -> None:
    existing = tmp_path / "users/routes.py"
    existing.parent.mkdir()
    existing.write_text("mine")
    with pytest.raises(MigrationError, match="exists, and nothing was written"):
        output.write({tmp_path / "a/routes.py": "new", existing: "stub"}, keep=tmp_path)
    assert (existing.read_text(), (tmp_path / "a").exists()) == ("mine", False)


def test_api_that_does_not_exist_is_named_unless_apis_could_not_be_read() -> None:
    parts = rest({"GET /users": method()})
    with pytest.raises(MigrationError, match="has no API peeple"):
        inventory(parts, only=["peeple"])
    refused = [Unread("http", "apigateway:GET /v2/apis", "AccessDenied")]
    assert build("account", "eu-central-1", parts, refused, ["peeple"]).apis == ()


def test_apis_with_one_name_have_files_of_their_own() -> None:
    parts = rest({"GET /users": method()})
    parts["rest"].append({"id": "r2", "name": "people"})
    assert output.file_names(inventory(parts)) == {"r1": "people-r1", "r2": "people-r2"}
