"""The sandbox's tokens, and the authorizer in front of the service under `make dev`."""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.types import Message, Scope

from sandbox import emulator as emulators
from sandbox import issuer as issuers
from sandbox import scopes
from sandbox.emulator import Emulator
from sandbox.errors import SandboxError
from sandbox.gateway import Authorizer
from sandbox.issuer import Issuer
from tests.service.documented import with_documented_resources


@pytest.fixture(scope="module")
def issuer(emulator: Emulator) -> Issuer:
    return issuers.ensure(emulator)


def call(authorizer: Authorizer, token: str | None) -> tuple[int, dict[str, Any]]:
    """Return the status, and the event that the application received."""
    event: dict[str, Any] = {}

    async def application(scope: Scope, _: Any, send: Any) -> None:
        event.update(scope.get("aws.event", {}))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    authorizer.app = application
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    asyncio.run(authorizer({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], event


@pytest.fixture
def authorizer(issuer: Issuer) -> Authorizer:
    async def nothing(*_: Any) -> None: ...

    return Authorizer(nothing, issuer.url, issuer.audience, issuer.keys_url)


def test_ensure_returns_the_same_issuer(issuer: Issuer, emulator: Emulator) -> None:
    assert issuers.ensure(emulator) == issuer


def test_token_has_only_the_requested_scopes(issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(["users:read"]), options={"verify_signature": False})
    assert claims["scope"] == "people/users:read"
    assert claims["iss"] == issuer.url


def test_unknown_scope_is_refused_with_the_known_scopes(issuer: Issuer) -> None:
    with pytest.raises(SandboxError, match="Scopes are customers:read, customers:write, users:read, users:write"):
        issuer.token(["users:rule"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the additional resources of docs/service.md."""
    return with_documented_resources(tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    home = tmp_path / "emulator"
    yield emulators.start(home, emulators.free_port())
    emulators.stop(home)


def test_scopes_follow_the_services_resources(own: Emulator, project: Path) -> None:
    before, after = issuers.ensure(own), issuers.ensure(own, project)
    # Earlier tokens and deployments stay valid: issuer and client are the same.
    assert (after.url, after.audience, after.secret) == (before.url, before.audience, before.secret)
    assert set(after.scopes) - set(before.scopes) == {"orders:read", "orders:write", "tickets:read", "tickets:write"}
    claims = jwt.decode(after.token(["orders:write"]), options={"verify_signature": False})
    assert claims["scope"] == "people/orders:write"
    issuers.ensure(own)
    with pytest.raises(urllib.error.HTTPError):
        after.token(["orders:write"])


def test_import_error_of_the_service_is_reported(project: Path) -> None:
    (project / "service/app.py").write_text("import no_such_module\n")
    with pytest.raises(
        SandboxError, match=r"cannot import the service .*nothing was deployed: .*No module named 'no_such_module'"
    ):
        scopes.declared(project)


def test_claims_reach_the_service_as_from_api_gateway(authorizer: Authorizer, issuer: Issuer) -> None:
    status, event = call(authorizer, issuer.token())
    assert status == 200
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] == issuer.audience


def test_request_without_a_token_has_no_caller(authorizer: Authorizer) -> None:
    assert call(authorizer, None) == (200, {})


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
def test_tampered_token_returns_401(part: int, authorizer: Authorizer, issuer: Issuer) -> None:
    parts = issuer.token().split(".")
    parts[part] = parts[part][:-6] + parts[part][-6:][::-1] + "A"
    assert call(authorizer, ".".join(parts)) == (401, {})


def test_other_audience_returns_401(authorizer: Authorizer, issuer: Issuer) -> None:
    authorizer.audience = "another client"
    assert call(authorizer, issuer.token())[0] == 401


def test_other_issuer_returns_401(authorizer: Authorizer, issuer: Issuer) -> None:
    authorizer.issuer = "https://login.example.com"
    assert call(authorizer, issuer.token())[0] == 401
