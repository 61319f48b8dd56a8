"""Tokens at the gateway: an API with JWT auth, with the emulator's Cognito as the issuer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from sandbox.emulator import REGION, Emulator
from tests.e2e.conftest import Deployable, gateway

# The application shows the claims that reached it.
WHOAMI = """

from fastapi import Request


@app.get("/whoami")
async def whoami(request: Request) -> dict[str, str]:
    \"\"\"Show the caller's claims.\"\"\"
    return dict(request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"])
"""
USER, PASSWORD = "ada", "Correct-horse-7"


class Issuer:
    """A user pool with one user and two clients of it."""

    def __init__(self, cognito: Any) -> None:
        self._cognito = cognito
        self.pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        self.url = f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool}"
        self.ours, self.theirs = (self._client(name) for name in ("ours", "theirs"))
        cognito.admin_create_user(UserPoolId=self.pool, Username=USER)
        cognito.admin_set_user_password(UserPoolId=self.pool, Username=USER, Password=PASSWORD, Permanent=True)

    def _client(self, name: str) -> str:
        made = self._cognito.create_user_pool_client(
            UserPoolId=self.pool,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        identity: str = made["UserPoolClient"]["ClientId"]
        return identity

    def token(self, client: str) -> str:
        answer = self._cognito.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": USER, "PASSWORD": PASSWORD},
        )
        token: str = answer["AuthenticationResult"]["AccessToken"]
        return token


@pytest.fixture(scope="module")
def issuer(aws: Callable[[str], Any]) -> Issuer:
    return Issuer(aws("cognito-idp"))


@pytest.fixture(scope="module")
def api(example: Deployable, hello: str, issuer: Issuer, emulator: Emulator) -> Iterator[httpx2.Client]:
    auth = f'  name = "auth-e2e"\n  auth = {{ jwt = {{ issuer = "{issuer.url}", audience = ["{issuer.ours}"] }} }}\n'
    opened = '  routes = { "GET /healthz" = { auth = { public = { reason = "Load balancers ask it" } } } }\n'
    root = example("minimal", module=auth + opened + hello.replace("../minimal/app", "app"))
    source = root.path / "app/hello.py"
    source.write_text(source.read_text() + WHOAMI)
    with gateway(emulator, root.apply()["endpoint"]) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x.y.z"}, {"authorization": "Basic YTpi"}])
def test_without_a_good_token_nothing_answers(api: httpx2.Client, headers: dict[str, str]) -> None:
    assert api.get("/", headers=headers).status_code == 401


def test_a_token_for_another_audience_is_refused(api: httpx2.Client, issuer: Issuer) -> None:
    assert api.get("/", headers=bearer(issuer.token(issuer.theirs))).status_code == 401


def test_a_tampered_token_is_refused(api: httpx2.Client, issuer: Issuer) -> None:
    head, _, rest = issuer.token(issuer.ours).partition(".")
    payload, _, signature = rest.partition(".")
    turned = signature[:-8] + signature[-8:][::-1]
    assert api.get("/", headers=bearer(f"{head}.{payload}.{turned}")).status_code == 401


def test_a_good_token_reaches_the_application_with_its_claims(api: httpx2.Client, issuer: Issuer) -> None:
    claims = api.get("/whoami", headers=bearer(issuer.token(issuer.ours))).raise_for_status().json()
    assert claims["iss"] == issuer.url
    assert claims["client_id"] == issuer.ours
    assert claims["username"] == USER


def test_a_route_may_be_open_while_the_rest_is_not(api: httpx2.Client) -> None:
    assert api.get("/healthz").status_code == 200
