"""JWT auth at the gateway, with the emulator's Cognito as the issuer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from sandbox.emulator import REGION, Emulator
from tests.e2e.conftest import Deployable, gateway

# Returns the claims that reach the application.
WHOAMI = """

from fastapi import Request


@app.get("/whoami")
async def whoami(request: Request) -> dict[str, str]:
    \"\"\"Return the caller's claims.\"\"\"
    return dict(request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"])
"""
USER, PASSWORD = "ada", "Correct-horse-7"


class Issuer:
    """A user pool with one user and two clients."""

    def __init__(self, cognito: Any) -> None:
        self._cognito = cognito
        self.pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        self.url = f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool}"
        self.audience, self.other_audience = (self._client(name) for name in ("ours", "theirs"))
        cognito.admin_create_user(UserPoolId=self.pool, Username=USER)
        cognito.admin_set_user_password(UserPoolId=self.pool, Username=USER, Password=PASSWORD, Permanent=True)

    def _client(self, name: str) -> str:
        client = self._cognito.create_user_pool_client(
            UserPoolId=self.pool,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        client_id: str = client["UserPoolClient"]["ClientId"]
        return client_id

    def token(self, client: str) -> str:
        response = self._cognito.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": USER, "PASSWORD": PASSWORD},
        )
        token: str = response["AuthenticationResult"]["AccessToken"]
        return token


@pytest.fixture(scope="module")
def issuer(aws: Callable[[str], Any]) -> Issuer:
    return Issuer(aws("cognito-idp"))


@pytest.fixture(scope="module")
def api(example: Deployable, hello: str, issuer: Issuer, emulator: Emulator) -> Iterator[httpx2.Client]:
    auth = (
        f'  name = "auth-e2e"\n  auth = {{ jwt = {{ issuer = "{issuer.url}", audience = ["{issuer.audience}"] }} }}\n'
    )
    public = '  routes = { "GET /healthz" = { auth = { public = { reason = "Used by load balancers" } } } }\n'
    root = example("minimal", module=auth + public + hello.replace("../minimal/app", "app"))
    source = root.path / "app/hello.py"
    source.write_text(source.read_text() + WHOAMI)
    with gateway(emulator, root.apply()["endpoint"]) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x.y.z"}, {"authorization": "Basic YTpi"}])
def test_missing_or_invalid_token_is_401(api: httpx2.Client, headers: dict[str, str]) -> None:
    assert api.get("/", headers=headers).status_code == 401


def test_token_for_another_audience_is_401(api: httpx2.Client, issuer: Issuer) -> None:
    assert api.get("/", headers=bearer(issuer.token(issuer.other_audience))).status_code == 401


def test_tampered_token_is_401(api: httpx2.Client, issuer: Issuer) -> None:
    head, _, rest = issuer.token(issuer.audience).partition(".")
    payload, _, signature = rest.partition(".")
    tampered = signature[:-8] + signature[-8:][::-1]
    assert api.get("/", headers=bearer(f"{head}.{payload}.{tampered}")).status_code == 401


def test_claims_of_a_valid_token_reach_the_application(api: httpx2.Client, issuer: Issuer) -> None:
    claims = api.get("/whoami", headers=bearer(issuer.token(issuer.audience))).raise_for_status().json()
    assert claims["iss"] == issuer.url
    assert claims["client_id"] == issuer.audience
    assert claims["username"] == USER


def test_public_route_needs_no_token(api: httpx2.Client) -> None:
    assert api.get("/healthz").status_code == 200
