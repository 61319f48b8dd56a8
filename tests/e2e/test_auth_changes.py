"""Who may call, and who serves a route, changed while clients ask: every change of an API that a route refers to, in one root."""

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
ROUTE = "GET /thing"
OPEN = {"GET /healthz": {"auth": {"public": {"reason": "Load balancers ask it"}}}}
# An old function answers its name; an authorizer lets everybody in who brings a token.
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


@app.get("/thing")
async def thing() -> str:
    \"\"\"Answer in an old function's place.\"\"\"
    return "container"
"""
INPUTS = "".join(f'variable "{name}" {{\n  type    = any\n  default = {{}}\n}}\n' for name in ("api", "auth", "routes"))
# What others refer to, and they: made before they change, and taken away after.
REFERRED = {
    r"_authorizer\.": r"_route\.",
    r"_integration\.legacy": r"_route\.this",
    r"_permission\.authorizer": r"_authorizer\.lambda|_route\.",
    r"_permission\.legacy": r"_integration\.legacy|_route\.this",
}


@pytest.fixture(scope="module")
def functions(aws: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    """ARNs by name; one is an alias."""
    names = [f"{NAME}-{name}" for name in ("ask", "ask-otherwise", "old", "older")]
    lambda_ = aws("lambda")
    made = {name: zip_function(lambda_, name, CODE) for name in names}
    version = lambda_.publish_version(FunctionName=names[0])["Version"]
    alias = lambda_.create_alias(FunctionName=names[0], Name="live", FunctionVersion=version)["AliasArn"]
    yield {name.removeprefix(f"{NAME}-"): arn for name, arn in (made | {names[0]: alias}).items()}
    for name in names:
        lambda_.delete_function(FunctionName=name)


@pytest.fixture(scope="module")
def jwt(issuer: Issuer) -> dict[str, Any]:
    return {"jwt": {"issuer": issuer.url, "audience": [issuer.audience], "scopes": ["people/users:read"]}}


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, jwt: dict[str, Any], functions: dict[str, str]) -> Root:
    inputs = "".join(f"  {name} = var.{name}\n" for name in ("api", "auth", "routes"))
    made = example("minimal", module=f'  name = "{NAME}"\n' + inputs + hello.replace("../minimal/app", "app"))
    made.write("inputs.tf", INPUTS)
    source = made.path / "app/hello.py"
    source.write_text(source.read_text() + CONTAINER)
    made.apply(auth=jwt, routes=OPEN | {ROUTE: {"legacy": {"function_arn": functions["old"]}}})
    return made


def change(root: Root, **variables: Any) -> None:
    """Apply, and check that what others refer to was there before they changed, and until they had."""
    root.resume(variables)
    result = root.terraform.apply(var=variables)
    assert result.code == 0, result.diagnostics
    steps = [event for event in result.events if event["type"] in {"apply_start", "apply_complete"}]
    done = [(step["type"], step["hook"]["action"], step["hook"]["resource"]["addr"]) for step in steps]
    judged = 0
    for n, (kind, action, address) in enumerate(done):
        users = [user for referred, user in REFERRED.items() if re.search(referred, address)]
        moved = [
            m for m, (_, what, who) in enumerate(done) if what == "update" and any(re.search(u, who) for u in users)
        ]
        early, late = (kind, action) == ("apply_complete", "create"), (kind, action) == ("apply_start", "delete")
        out_of_turn = (early and any(m < n for m in moved)) or (late and any(m > n for m in moved))
        assert not out_of_turn, f"{action} of {address}, {n}: {done}"
        judged += bool(moved) and (early or late)
    assert judged, f"nothing was made or taken away that others refer to: {done}"


def test_auth_and_functions_change_and_change_back_and_no_request_fails(
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
    # Auth, what /thing is, what a stranger gets, and who answers /thing.
    changes: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        ({"iam": {}}, {}, 403, '"container"'),
        ({"lambda": {"function_arn": functions["ask"]}}, {"legacy": old}, 401, f"{NAME}-old"),
        (
            {"lambda": {"function_arn": functions["ask-otherwise"]}},
            {"legacy": {"function_arn": functions["older"]}},
            401,
            f"{NAME}-older",
        ),
        ({"public": {"reason": "Holds no data at all"}}, {"legacy": old, "auth": {"iam": {}}}, 200, f"{NAME}-old"),
        (jwt, {}, 401, '"container"'),
    ]

    container_load, thing_load = (load(emulator, endpoint, path, clients=1, token=token) for path in ("/", "/thing"))
    with container_load as container, thing_load as thing, gateway(emulator, endpoint) as stranger:
        for auth, route, refused, answer in changes:
            change(root, auth=auth, routes=OPEN | {ROUTE: route})
            assert stranger.get("/").status_code == refused
            assert stranger.get("/healthz").status_code == 200
            with gateway(emulator, endpoint, token) as caller:
                assert caller.get("/thing").text == answer
            if answer == f"{NAME}-old" and refused == 401:
                # The authorizer is an alias, of which the function's own policy says nothing.
                root.assert_idempotent()
    note(
        f"auth and legacy changed five times: {container.sent} + {thing.sent} requests, {container.failures} + {thing.failures} failed"
    )
    container.assert_none_failed(least=20)
    thing.assert_none_failed(least=20)


def test_browsers_preflights_are_answered_whatever_a_call_needs(
    root: Root, emulator: Emulator, jwt: dict[str, Any], functions: dict[str, str]
) -> None:
    guarded: dict[str, Any] = {"ANY /thing": {"auth": {"iam": {}}}}
    opened = {"auth": {"public": {"reason": "Preflights carry no credentials"}}}
    asks = {"origin": ORIGIN, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    # By the gateway, and by the application itself.
    changes: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (
            {"cors": {"allow_origins": [ORIGIN], "allow_methods": ["GET"], "allow_headers": ["authorization"]}},
            guarded,
            "300",
        ),
        (
            {},
            guarded
            | {f"OPTIONS {path}": opened for path in ("/", "/{proxy+}", "/thing")}
            | {ROUTE: {"legacy": {"function_arn": functions["old"]}}},
            "7",
        ),
    ]
    for api, routes, max_age in changes:
        root.apply(auth=jwt, api=api, routes=OPEN | routes)
        with gateway(emulator, root.output("endpoint", str)) as browser:
            for path, refused in (("/", 401), ("/any/path", 401), ("/thing", 403)):
                preflight = browser.options(path, headers=asks)
                assert preflight.is_success, f"{path}: {preflight.status_code} {preflight.text}"
                assert preflight.headers["access-control-allow-origin"] == ORIGIN
                assert preflight.headers["access-control-max-age"] == max_age
                assert browser.post(path).status_code == refused


def test_what_calls_a_replaced_function_or_comes_from_a_replaced_api_is_replaced(root: Root) -> None:
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

    # Its policy goes with the function, and nothing in the permission itself tells.
    assert "aws_lambda_permission.api" in replaced("aws_lambda_function.this")
    # Made before the old one goes: of the same name, it would be refused.
    permission = replaced("aws_apigatewayv2_api.this")[f'aws_lambda_permission.legacy["{ROUTE}"]']
    assert permission["actions"] == ["create", "delete"]
    assert permission["after_unknown"]["statement_id"]
