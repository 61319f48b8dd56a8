"""Tokens for the sandbox, issued by a user pool in the emulator's Cognito, so that auth is on.

The grant is client credentials: the subject is the client, and the scopes are those of the pool's resource server, which are
the service's.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import scopes
from sandbox.emulator import REGION, Emulator, direct
from sandbox.errors import SandboxError
from sandbox.paths import ROOT

NAME = "sandbox"
RESOURCE_SERVER = "people"


@dataclass(frozen=True)
class Issuer:
    """An issuer: `url` is its `iss`, `audience` the `client_id`, which API Gateway accepts as audience, `scopes` all that it grants."""

    emulator: Emulator
    url: str
    audience: str
    secret: str
    scopes: tuple[str, ...]

    @property
    def keys_url(self) -> str:
        """URL of the public keys, in the emulator. The issuer's own URL is AWS's."""
        return f"{self.emulator.url}/{self.url.rpartition('/')[2]}/.well-known/jwks.json"

    def token(self, scopes: Iterable[str] | None = None) -> str:
        """Return a token with `scopes`, or all, valid for an hour. SandboxError lists the scopes when one is unknown."""
        requested = self.scopes if scopes is None else tuple(scopes)
        if unknown := sorted(set(requested) - set(self.scopes)):
            raise SandboxError(f"unknown scope: {', '.join(unknown)}. Scopes are {', '.join(self.scopes)}")
        form = {
            "grant_type": "client_credentials",
            "client_id": self.audience,
            "client_secret": self.secret,
            "scope": " ".join(_qualified(requested)),
        }
        request = urllib.request.Request(  # noqa: S310 - our own emulator
            f"{self.emulator.url}/oauth2/token", data=urllib.parse.urlencode(form).encode()
        )
        with direct.open(request, timeout=10) as response:
            token: str = json.load(response)["access_token"]
        return token


def ensure(emulator: Emulator, project: Path = ROOT) -> Issuer:
    """Return the emulator's issuer, created by the first call, with the current scopes of a project's service."""
    declared = tuple(scopes.declared(project))
    cognito = emulator.client("cognito-idp")
    pools = {pool["Name"]: pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]}
    pool = pools.get(NAME) or _create_pool(cognito)
    (client,) = cognito.list_user_pool_clients(UserPoolId=pool)["UserPoolClients"]
    _set_scopes(cognito, pool, client["ClientId"], declared)
    details = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client["ClientId"])["UserPoolClient"]
    url = f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"
    return Issuer(emulator, url, details["ClientId"], details["ClientSecret"], declared)


def _create_pool(cognito: Any) -> str:
    pool: str = cognito.create_user_pool(PoolName=NAME)["UserPool"]["Id"]
    cognito.create_resource_server(UserPoolId=pool, Identifier=RESOURCE_SERVER, Name=RESOURCE_SERVER)
    cognito.create_user_pool_client(UserPoolId=pool, ClientName=NAME, GenerateSecret=True)
    return pool


def _set_scopes(cognito: Any, pool: str, client: str, names: Iterable[str]) -> None:
    """Make these the only scopes of the resource server and of the client."""
    described = [{"ScopeName": scope, "ScopeDescription": scope} for scope in names]
    cognito.update_resource_server(UserPoolId=pool, Identifier=RESOURCE_SERVER, Name=RESOURCE_SERVER, Scopes=described)
    cognito.update_user_pool_client(
        UserPoolId=pool,
        ClientId=client,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=_qualified(names),
    )


def _qualified(names: Iterable[str]) -> list[str]:
    return [f"{RESOURCE_SERVER}/{scope}" for scope in names]
