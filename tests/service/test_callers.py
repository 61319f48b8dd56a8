"""Authentication by the gateway's authorizer, and authorization by scopes."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit.auth import Principal, caller
from service.settings import settings
from tests.service.domains import SCOPES, UNKNOWN_ID, USERS, AsCaller, Domain, create_item, jwt

ARN = "arn:aws:iam::111122223333:user/ada"
ANY = {"if-match": "*"}


def operations(domain: Domain) -> list[tuple[str, str, str]]:
    """Return method, path and required scope of each operation."""
    name, item = domain.path.strip("/"), f"{domain.path}/{UNKNOWN_ID}"
    return [
        *[("GET", path, f"{name}:read") for path in (domain.path, item)],
        *[(method, path, f"{name}:write") for method, path in [("POST", domain.path), ("PUT", item), ("PATCH", item)]],
        ("DELETE", item, f"{name}:write"),
    ]


def body_for(method: str, domain: Domain) -> dict[str, Any] | None:
    return domain.body if method in {"POST", "PUT", "PATCH"} else None


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {"claims": {}}}, {"lambda": {"sub": "ada"}}])
def test_unauthenticated_caller_is_401(as_caller: AsCaller, domain: Domain, authorizer: object) -> None:
    for method, path, _ in operations(domain):
        response = as_caller(authorizer).request(method, path, json=body_for(method, domain), headers=ANY)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"] == "Bearer"


def test_request_without_an_event_is_401(app: FastAPI, domain: Domain) -> None:
    headers = {"authorization": "Bearer x", "x-amzn-principal": "ada"}
    assert TestClient(app).get(domain.path, headers=headers).status_code == 401


def test_missing_scope_is_403_and_named(as_caller: AsCaller, domain: Domain) -> None:
    for method, path, scope in operations(domain):
        others = " ".join(other for other in SCOPES.split() if other != scope)
        response = as_caller(jwt(others)).request(method, path, json=body_for(method, domain), headers=ANY)
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


def test_only_the_scope_of_the_operation_is_required(as_caller: AsCaller, domain: Domain) -> None:
    for method, path, scope in operations(domain):
        response = as_caller(jwt(scope)).request(method, path, json=body_for(method, domain), headers=ANY)
        assert response.status_code in {200, 201, 404}


def test_iam_caller_needs_no_scopes(as_caller: AsCaller, domain: Domain) -> None:
    item = create_item(as_caller({"jwt": None, "iam": {"userArn": ARN}}), domain)
    assert item["created_by"] == ARN


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version", "/docs", "/openapi.json"])
def test_public_paths_need_no_caller(as_caller: AsCaller, path: str) -> None:
    assert as_caller(None).get(path).status_code == 200


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, set()),
        ({"scope": "users:read users:write"}, {"users:read", "users:write"}),
        ({"scp": "users:read"}, {"users:read"}),
        ({"scp": "[users:read users:write]"}, {"users:read", "users:write"}),
        ({"scp": ["users:read", "users:write"]}, {"users:read", "users:write"}),
        ({"scope": "people/users:read billing/users:read"}, {"people/users:read", "billing/users:read"}),
        ({"scope": "]users:read["}, {"]users:read["}),
        ({"scp": "[users:read"}, {"[users:read"}),
        ({"scope": "users:read", "scp": "users:write"}, {"users:read", "users:write"}),
    ],
)
def test_scopes_are_read_from_scope_and_scp_claims(claims: dict[str, Any], scopes: set[str]) -> None:
    event = {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": "ada"} | claims}}}}
    assert caller(event) == Principal("ada", frozenset(scopes))


@pytest.mark.parametrize(
    ("prefix", "scopes", "status"),
    [
        ("", "users:read", 200),
        ("", "people/users:read", 403),
        ("", "billing/users:read", 403),
        ("", "]users:read[", 403),
        ("", "Users:read", 403),
        ("people", "people/users:read", 200),
        ("people", "users:read", 403),
        ("people", "billing/users:read", 403),
        ("people", "people/people/users:read", 403),
        ("people", "x/people/users:read", 403),
    ],
)
def test_scope_must_match_exactly_including_the_prefix(
    app: FastAPI, as_caller: AsCaller, prefix: str, scopes: str, status: int
) -> None:
    app.state.scope_prefix = prefix
    response = as_caller(jwt(scopes)).get("/users")
    assert response.status_code == status
    if status == 403:
        needed = f"{prefix}/users:read" if prefix else "users:read"
        assert f'scope="{needed}"' in response.headers["www-authenticate"]


def test_scope_prefix_is_a_setting(as_caller: AsCaller, table: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPE_PREFIX", "people")
    settings.cache_clear()
    assert create_app().state.scope_prefix == "people"


def test_subject_of_a_machine_is_its_client_id() -> None:
    found = caller({"requestContext": {"authorizer": {"jwt": {"claims": {"client_id": "batch"}}}}})
    assert found is not None
    assert found.subject == "batch"


def test_created_by_and_updated_by_are_the_callers(as_caller: AsCaller, domain: Domain) -> None:
    path = f"{domain.path}/{create_item(as_caller(jwt(SCOPES, 'ada')), domain)['id']}"
    changed = as_caller(jwt(SCOPES, "grace")).patch(path, json={"name": "New"}, headers=ANY).json()
    assert (changed["created_by"], changed["updated_by"]) == ("ada", "grace")


def test_principal_is_in_the_request_state(app: FastAPI, as_caller: AsCaller) -> None:
    seen: list[object] = []

    class Recorder:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            seen.append(scope.get("state", {}).get("principal"))

    app.add_middleware(Recorder)
    as_caller(jwt(SCOPES)).get(USERS.path)
    as_caller(jwt("")).get(USERS.path)
    as_caller(None).get(USERS.path)
    assert seen == ["ada", "ada", None]
