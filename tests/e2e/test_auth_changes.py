"""Changes of `auth` and of `legacy` routes under load, in one root."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import IsFlagged, Root
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.e2e.conftest import Deployable, gateway, load, zip_function

NAME = "changes-e2e"
ROUTE = "GET /item"
PUBLIC = {"GET /healthz": {"auth": {"public": {"reason": "Used by load balancers"}}}}
# A legacy function returns its name; an authorizer accepts any bearer token.
CODE = """
def handler(event, context):
    if event.get("type") == "REQUEST":
        return {"isAuthorized": event["headers"]["authorization"].startswith("Bearer ")}
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": context.function_name}
"""
ORIGIN = "https://app.example.com"
CONTAINER = f"""

from fastapi.middleware.cors import CORSMiddleware

app.add_middleware(CORSMiddleware, allow_origins=["{ORIGIN}"], allow_headers=["authorization"], max_age=7)


@app.get("/item")
async def item() -> str:
    \"\"\"Return which function responded.\"\"\"
    return "container"
"""
INPUTS = "".join(f'variable "{name}" {{\n  type    = any\n  default = {{}}\n}}\n' for name in ("api", "auth", "routes"))
# Resource to the resources that refer to it: it is created before they change, and destroyed after.
REFERRERS = {
    r"_authorizer\.": r"_route\.",
    r"_integration\.legacy": r"_route\.this",
    r"_permission\.authorizer": r"_authorizer\.lambda|_route\.",
    r"_permission\.legacy": r"_integration\.legacy|_route\.this",
}


@pytest.fixture(scope="module")
def functions(aws: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    """ARNs by name; one of them is an alias."""
    names = [f"{NAME}-{name}" for name in ("authorizer", "other-authorizer", "old", "older")]
    lambda_ = aws("lambda")
    arns = {name: zip_function(lambda_, name, CODE) for name in names}
    version = lambda_.publish_version(FunctionName=names[0])["Version"]
    alias = lambda_.create_alias(FunctionName=names[0], Name="live", FunctionVersion=version)["AliasArn"]
    yield {name.removeprefix(f"{NAME}-"): arn for name, arn in (arns | {names[0]: alias}).items()}
    for name in names:
        lambda_.delete_function(FunctionName=name)


@pytest.fixture(scope="module")
def jwt(issuer: Issuer) -> dict[str, Any]:
    return {"jwt": {"issuer": issuer.url, "audience": [issuer.audience], "scopes": ["people/users:read"]}}


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, jwt: dict[str, Any], functions: dict[str, str]) -> Root:
    inputs = "".join(f"  {name} = var.{name}\n" for name in ("api", "auth", "routes"))
    root = example("minimal", module=f'  name = "{NAME}"\n' + inputs + hello.replace("../minimal/app", "app"))
    root.write("inputs.tf", INPUTS)
    source = root.path / "app/hello.py"
    source.write_text(source.read_text() + CONTAINER)
    root.apply(auth=jwt, routes=PUBLIC | {ROUTE: {"legacy": {"function_arn": functions["old"]}}})
    return root


def change(root: Root, **variables: Any) -> None:
    """Apply, and check that referred resources are created before their referrers change, and destroyed after."""
    root.resume(variables)
    result = root.terraform.apply(var=variables)
    assert result.code == 0, result.diagnostics
    steps = [event for event in result.events if event["type"] in {"apply_start", "apply_complete"}]
    order = [(step["type"], step["hook"]["action"], step["hook"]["resource"]["addr"]) for step in steps]
    checked = 0
    for n, (event, action, address) in enumerate(order):
        referrers = [referrer for referred, referrer in REFERRERS.items() if re.search(referred, address)]
        updates = [
            m
            for m, (_, other_action, other) in enumerate(order)
            if other_action == "update" and any(re.search(referrer, other) for referrer in referrers)
        ]
        created, deleted = (event, action) == ("apply_complete", "create"), (event, action) == ("apply_start", "delete")
        wrong_order = (created and any(m < n for m in updates)) or (deleted and any(m > n for m in updates))
        assert not wrong_order, f"{action} of {address}, {n}: {order}"
        checked += bool(updates) and (created or deleted)
    assert checked, f"no referred resource was created or destroyed: {order}"


def test_changes_of_auth_and_legacy_fail_no_request(
    root: Root,
    emulator: Emulator,
    issuer: Issuer,
    jwt: dict[str, Any],
    functions: dict[str, str],
    note: Callable[[str], None],
) -> None:
    endpoint = root.output("endpoint", str)
    token = issuer.token()
    old = {"payload_format_version": "1.0", "function_arn": functions["old"]}
    # auth, the route /item, the status without a token, and the response of /item.
    changes: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        ({"iam": {}}, {}, 403, '"container"'),
        ({"lambda": {"function_arn": functions["authorizer"]}}, {"legacy": old}, 401, f"{NAME}-old"),
        (
            {"lambda": {"function_arn": functions["other-authorizer"]}},
            {"legacy": {"function_arn": functions["older"]}},
            401,
            f"{NAME}-older",
        ),
        ({"public": {"reason": "Holds no data at all"}}, {"legacy": old, "auth": {"iam": {}}}, 200, f"{NAME}-old"),
        (jwt, {}, 401, '"container"'),
    ]

    container_load, item_load = (load(emulator, endpoint, path, clients=1, token=token) for path in ("/", "/item"))
    with container_load as container, item_load as item, gateway(emulator, endpoint) as anonymous:
        for auth, route, status, text in changes:
            change(root, auth=auth, routes=PUBLIC | {ROUTE: route})
            assert anonymous.get("/").status_code == status
            assert anonymous.get("/healthz").status_code == 200
            with gateway(emulator, endpoint, token) as caller:
                assert caller.get("/item").text == text
            if text == f"{NAME}-old" and status == 401:
                # The authorizer is an alias, which the function's own policy does not cover.
                root.assert_idempotent()
    note(
        f"auth and legacy changed five times: {container.sent} + {item.sent} requests, {container.failures} + {item.failures} failed"
    )
    container.assert_none_failed(least=20)
    item.assert_none_failed(least=20)


def test_preflights_succeed_with_any_auth(
    root: Root, emulator: Emulator, jwt: dict[str, Any], functions: dict[str, str]
) -> None:
    private: dict[str, Any] = {"ANY /item": {"auth": {"iam": {}}}}
    public = {"auth": {"public": {"reason": "Preflights carry no credentials"}}}
    headers = {
        "origin": ORIGIN,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }
    # Handled by the gateway, and by the application.
    changes: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (
            {"cors": {"allow_origins": [ORIGIN], "allow_methods": ["GET"], "allow_headers": ["authorization"]}},
            private,
            "300",
        ),
        (
            {},
            private
            | {f"OPTIONS {path}": public for path in ("/", "/{proxy+}", "/item")}
            | {ROUTE: {"legacy": {"function_arn": functions["old"]}}},
            "7",
        ),
    ]
    for api, routes, max_age in changes:
        root.apply(auth=jwt, api=api, routes=PUBLIC | routes)
        with gateway(emulator, root.output("endpoint", str)) as browser:
            for path, status in (("/", 401), ("/any/path", 401), ("/item", 403)):
                preflight = browser.options(path, headers=headers)
                assert preflight.is_success, f"{path}: {preflight.status_code} {preflight.text}"
                assert preflight.headers["access-control-allow-origin"] == ORIGIN
                assert preflight.headers["access-control-max-age"] == max_age
                assert browser.post(path).status_code == status


def test_replaced_function_or_api_replaces_its_permissions(root: Root) -> None:
    assert root.applied
    variables, _ = root.applied
    root.assert_idempotent()

    def replaced(address: str) -> dict[str, Any]:
        result = root.terraform.plan(out="replacing.tfplan", var=variables, replace=f"module.api.{address}")
        assert result.code == 2, result.diagnostics
        changes = json.loads(root.terraform.show("replacing.tfplan", json=IsFlagged).out)["resource_changes"]
        return {
            change["address"].removeprefix("module.api."): change["change"]
            for change in changes
            if {"create", "delete"} <= set(change["change"]["actions"])
        }

    # The function's policy is deleted with it, but no attribute of the permission changes.
    assert "aws_lambda_permission.api" in replaced("aws_lambda_function.this")
    # Created before the old one is destroyed: with the same name, Lambda would reject it.
    permission = replaced("aws_apigatewayv2_api.this")[f'aws_lambda_permission.legacy["{ROUTE}"]']
    assert permission["actions"] == ["create", "delete"]
    assert permission["after_unknown"]["statement_id"]
