"""Tokens for the sandbox, so that it runs with auth on: a user pool of the emulator's Cognito issues them, as AWS's would.

A token is a machine's (client credentials): its subject is the client, its scopes are those of the pool's resource server.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.emulator import REGION, Emulator, direct
from sandbox.errors import SandboxError

NAME = "sandbox"
RESOURCE_SERVER = "people"
SCOPES = ("users:read", "users:write", "customers:read", "customers:write")


@dataclass(frozen=True)
class Issuer:
    """Who issues tokens (`iss`), whom they are for (`client_id`, which API Gateway takes for the audience), and the client's secret."""

    emulator: Emulator
    url: str
    audience: str
    secret: str

    @property
    def keys_url(self) -> str:
        """Where this machine reads the public keys; the issuer's own URL is AWS's, which the emulator stands for."""
        return f"{self.emulator.url}/{self.url.rpartition('/')[2]}/.well-known/jwks.json"

    def token(self, scopes: Iterable[str] = SCOPES) -> str:
        """Return a token that allows `scopes` for an hour. SandboxError names those that there are when one is unknown."""
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise SandboxError(f"no such scope: {', '.join(unknown)}. There are {', '.join(SCOPES)}")
        wanted = " ".join(f"{RESOURCE_SERVER}/{scope}" for scope in scopes)
        form = {
            "grant_type": "client_credentials",
            "client_id": self.audience,
            "client_secret": self.secret,
            "scope": wanted,
        }
        request = urllib.request.Request(  # noqa: S310 - our own emulator
            f"{self.emulator.url}/oauth2/token", data=urllib.parse.urlencode(form).encode()
        )
        with direct.open(request, timeout=10) as answer:
            token: str = json.load(answer)["access_token"]
        return token


def ensure(emulator: Emulator) -> Issuer:
    """Return the emulator's issuer, made at the first call."""
    cognito = _cognito(emulator)
    pools = {pool["Name"]: pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]}
    pool = pools.get(NAME) or _make(cognito)
    (client,) = cognito.list_user_pool_clients(UserPoolId=pool)["UserPoolClients"]
    known = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client["ClientId"])["UserPoolClient"]
    url = f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"
    return Issuer(emulator, url, known["ClientId"], known["ClientSecret"])


def _make(cognito: Any) -> str:
    pool: str = cognito.create_user_pool(PoolName=NAME)["UserPool"]["Id"]
    scopes = [{"ScopeName": scope, "ScopeDescription": scope} for scope in SCOPES]
    cognito.create_resource_server(UserPoolId=pool, Identifier=RESOURCE_SERVER, Name=RESOURCE_SERVER, Scopes=scopes)
    cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName=NAME,
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=[f"{RESOURCE_SERVER}/{scope}" for scope in SCOPES],
    )
    return pool


def _cognito(emulator: Emulator) -> Any:
    import boto3  # half a second, which no other command needs

    return boto3.client(
        "cognito-idp",
        endpoint_url=emulator.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
