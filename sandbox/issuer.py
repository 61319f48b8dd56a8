"""Tokens for the sandbox, so that it runs with auth on: a user pool of the emulator's Cognito issues them, as AWS's would.

A token is a machine's (client credentials): its subject is the client, its scopes are those of the pool's resource server, which
are the service's.
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
    """Who issues tokens (`iss`), whom they are for (`client_id`, which API Gateway takes for the audience), and what they may allow."""

    emulator: Emulator
    url: str
    audience: str
    secret: str
    scopes: tuple[str, ...]

    @property
    def keys_url(self) -> str:
        """Where this machine reads the public keys; the issuer's own URL is AWS's, which the emulator stands for."""
        return f"{self.emulator.url}/{self.url.rpartition('/')[2]}/.well-known/jwks.json"

    def token(self, scopes: Iterable[str] | None = None) -> str:
        """Return a token that allows `scopes`, or everything, for an hour. SandboxError names the scopes when one is unknown."""
        asked = self.scopes if scopes is None else tuple(scopes)
        if unknown := sorted(set(asked) - set(self.scopes)):
            raise SandboxError(f"no such scope: {', '.join(unknown)}. There are {', '.join(self.scopes)}")
        wanted = " ".join(_qualified(asked))
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


def ensure(emulator: Emulator, project: Path = ROOT) -> Issuer:
    """Return the emulator's issuer, made at the first call, with the scopes that a project's service has now."""
    wanted = tuple(scopes.declared(project))
    cognito = emulator.client("cognito-idp")
    pools = {pool["Name"]: pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]}
    pool = pools.get(NAME) or _make(cognito)
    (client,) = cognito.list_user_pool_clients(UserPoolId=pool)["UserPoolClients"]
    _allow(cognito, pool, client["ClientId"], wanted)
    known = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client["ClientId"])["UserPoolClient"]
    url = f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"
    return Issuer(emulator, url, known["ClientId"], known["ClientSecret"], wanted)


def _make(cognito: Any) -> str:
    pool: str = cognito.create_user_pool(PoolName=NAME)["UserPool"]["Id"]
    cognito.create_resource_server(UserPoolId=pool, Identifier=RESOURCE_SERVER, Name=RESOURCE_SERVER)
    cognito.create_user_pool_client(UserPoolId=pool, ClientName=NAME, GenerateSecret=True)
    return pool


def _allow(cognito: Any, pool: str, client: str, wanted: Iterable[str]) -> None:
    """Let the client have tokens with these scopes, and with no others."""
    described = [{"ScopeName": scope, "ScopeDescription": scope} for scope in wanted]
    cognito.update_resource_server(UserPoolId=pool, Identifier=RESOURCE_SERVER, Name=RESOURCE_SERVER, Scopes=described)
    cognito.update_user_pool_client(
        UserPoolId=pool,
        ClientId=client,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=_qualified(wanted),
    )


def _qualified(wanted: Iterable[str]) -> list[str]:
    return [f"{RESOURCE_SERVER}/{scope}" for scope in wanted]
