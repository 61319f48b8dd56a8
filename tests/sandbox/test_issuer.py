"""The sandbox's tokens, and the authorizer that `make dev` puts in front of the service."""

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


def ask(authorizer: Authorizer, token: str | None) -> tuple[int, dict[str, Any]]:
    """Return the status, and the event that the application saw."""
    seen: dict[str, Any] = {}

    async def application(scope: Scope, _: Any, send: Any) -> None:
        seen.update(scope.get("aws.event", {}))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    authorizer.app = application
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
    asyncio.run(authorizer({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], seen


@pytest.fixture
def authorizer(issuer: Issuer) -> Authorizer:
    async def nothing(*_: Any) -> None: ...

    return Authorizer(nothing, issuer.url, issuer.audience, issuer.keys_url)


def test_there_is_one_issuer_however_often_it_is_asked_for(issuer: Issuer, emulator: Emulator) -> None:
    assert issuers.ensure(emulator) == issuer


def test_a_token_allows_what_it_was_asked_for_and_no_more(issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(["users:read"]), options={"verify_signature": False})
    assert claims["scope"] == "people/users:read"
    assert claims["iss"] == issuer.url


def test_an_unknown_scope_is_refused_with_those_that_there_are(issuer: Issuer) -> None:
    with pytest.raises(SandboxError, match="There are customers:read, customers:write, users:read, users:write"):
        issuer.token(["users:rule"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project whose service has a resource more, as docs/service.md says."""
    return with_documented_resources(tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    home = tmp_path / "emulator"
    yield emulators.start(home, emulators.free_port())
    emulators.stop(home)


def test_a_new_resources_scopes_are_there_without_another_edit_and_go_with_it(own: Emulator, project: Path) -> None:
    before, after = issuers.ensure(own), issuers.ensure(own, project)
    # Tokens and deployments of before stay good: it is the same issuer and the same client.
    assert (after.url, after.audience, after.secret) == (before.url, before.audience, before.secret)
    assert set(after.scopes) - set(before.scopes) == {"orders:read", "orders:write", "tickets:read", "tickets:write"}
    claims = jwt.decode(after.token(["orders:write"]), options={"verify_signature": False})
    assert claims["scope"] == "people/orders:write"
    issuers.ensure(own)
    with pytest.raises(urllib.error.HTTPError):
        after.token(["orders:write"])


def test_a_service_that_cannot_be_imported_is_quoted(project: Path) -> None:
    (project / "service/app.py").write_text("import no_such_module\n")
    with pytest.raises(
        SandboxError, match=r"cannot be imported, and nothing was deployed: .*No module named 'no_such_module'"
    ):
        scopes.declared(project)


def test_the_claims_of_a_good_token_reach_the_service_as_api_gateway_hands_them_on(
    authorizer: Authorizer, issuer: Issuer
) -> None:
    status, event = ask(authorizer, issuer.token())
    assert status == 200
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] == issuer.audience


def test_without_a_token_the_service_sees_no_caller(authorizer: Authorizer) -> None:
    assert ask(authorizer, None) == (200, {})


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
def test_a_tampered_token_is_refused(part: int, authorizer: Authorizer, issuer: Issuer) -> None:
    parts = issuer.token().split(".")
    parts[part] = parts[part][:-6] + parts[part][-6:][::-1] + "A"
    assert ask(authorizer, ".".join(parts)) == (401, {})


def test_a_token_for_somebody_else_is_refused(authorizer: Authorizer, issuer: Issuer) -> None:
    authorizer.audience = "somebody else"
    assert ask(authorizer, issuer.token())[0] == 401


def test_a_token_of_somebody_else_is_refused(authorizer: Authorizer, issuer: Issuer) -> None:
    authorizer.issuer = "https://login.example.com"
    assert ask(authorizer, issuer.token())[0] == 401
