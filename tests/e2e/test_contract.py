"""The main example behind API Gateway, with auth on: it keeps to its OpenAPI document, whatever schemathesis sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from sandbox.base_image import BaseImage
from sandbox.emulator import REGION, Emulator
from tests.contract import check
from tests.e2e.conftest import Deployable, gateway

SCOPES = ["users:read", "users:write", "customers:read", "customers:write"]
# Of each operation and phase: through the gateway and a container a case takes its time.
EXAMPLES = 5
OPEN = ", ".join(
    f'"ANY {path}" = {{ auth = {{ public = {{ reason = "Asked by the platform" }} }} }}'
    for path in ("/healthz", "/readyz", "/version")
)
UNPROTECTED = 'resource "aws_dynamodb_table" "this" {\n  deletion_protection_enabled = false\n}\n'


@dataclass(frozen=True)
class Machine:
    """A client of a user pool that may do everything: where its tokens come from, whom they are for, and one of them."""

    issuer: str
    audience: str
    token: str


@pytest.fixture(scope="module")
def machine(aws: Callable[[str], Any], emulator: Emulator) -> Machine:
    cognito = aws("cognito-idp")
    pool = cognito.create_user_pool(PoolName="contract")["UserPool"]["Id"]
    scopes = [{"ScopeName": scope, "ScopeDescription": scope} for scope in SCOPES]
    cognito.create_resource_server(UserPoolId=pool, Identifier="people", Name="people", Scopes=scopes)
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="machine",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=[f"people/{scope}" for scope in SCOPES],
    )["UserPoolClient"]
    answer = httpx2.post(
        f"{emulator.url}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client["ClientId"], client["ClientSecret"]),
        trust_env=False,
    )
    issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"
    return Machine(issuer, client["ClientId"], answer.raise_for_status().json()["access_token"])


def test_every_answer_through_the_gateway_is_documented_and_none_is_a_server_error(
    example: Deployable, base_image: BaseImage, machine: Machine, emulator: Emulator, note: Callable[[str], None]
) -> None:
    root = example("complete", module=f"  routes = {{ {OPEN} }}\n", root=UNPROTECTED)
    variables = {"name": "people-contract", "base_image": base_image.reference}
    outputs = root.apply(variables | {"jwt_issuer": machine.issuer, "jwt_audience": machine.audience})
    with gateway(emulator, outputs["endpoint"]) as api:
        assert api.get("/users").status_code == 401
        host = api.headers["host"]
        summary = check(emulator.url, machine.token, {"host": host}, EXAMPLES)
    note(f"schemathesis through API Gateway: {summary}")
