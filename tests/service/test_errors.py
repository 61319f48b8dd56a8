"""Every error is a problem detail (RFC 9457) that reveals no internals."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.kit.errors import PHRASES
from service.kit.repository import Repository
from tests.service.domains import UNKNOWN_ID, Domain

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/users/", None, 404),
        ("GET", "/users/a%2Fb", None, 404),
        ("GET", "/docs/assets/nothing.js", None, 404),
        ("GET", f"/users/{UNKNOWN_ID}", None, 404),
        ("DELETE", "/users", None, 405),
        ("BREW", "/users", None, 405),
        ("GET", "/users?cursor=x", None, 400),
        ("GET", "/users?limit=0", None, 422),
        ("POST", "/users", None, 422),
        ("POST", "/users", "{}", 422),
        ("POST", "/users", "[]", 422),
        ("POST", "/users", "not json", 400),
        ("POST", "/users", '{"email": "\\ud800@example.com", "name": "Ada"}', 400),
        ("POST", "/users", '{"\\ud800": 1, "email": "ada@example.com", "name": "Ada"}', 400),
        ("POST", "/users", '{"name": ' + "[" * 5000 + "]" * 5000 + "}", 400),
        ("POST", "/users", b'{"name": "\xff"}', 400),
    ],
)
def test_error_is_a_problem_detail(
    client: TestClient, method: str, path: str, body: str | bytes | None, status: int
) -> None:
    response = client.request(method, path, content=body, headers=JSON)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    assert problem["title"] == PHRASES[status]
    assert problem["instance"] == path.partition("?")[0].replace("%2F", "/")
    assert bool(problem.get("errors")) is (status == 422)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/users", "GET, HEAD, POST"),
        ("OPTIONS", f"/users/{UNKNOWN_ID}", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET"),
    ],
)
def test_405_lists_the_allowed_methods(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert method in response.json()["detail"]


def test_422_names_the_fields_but_not_their_values(client: TestClient) -> None:
    response = client.post("/users", json={"email": "hunter2", "name": ["hunter2"], "age": "hunter2"})
    assert {error["field"] for error in response.json()["errors"]} == {"body.email", "body.name", "body.age"}
    assert "hunter2" not in response.text


def test_uncaught_error_is_logged_once_and_not_returned(
    client: TestClient, logged: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(Repository, "get", broken)
    # The test client raises errors that leave the application. None does, so nothing else logs this one.
    response = client.get(f"/users/{UNKNOWN_ID}")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["instance"] == f"/users/{UNKNOWN_ID}"
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text
    (line,) = logged()
    assert line["level"] == "ERROR"
    assert UNKNOWN_ID in line["message"]
    assert 'raise RuntimeError("the password is hunter2")' in line["exception"]


def test_client_error_is_not_logged(client: TestClient, logged: Callable[[], list[dict[str, Any]]]) -> None:
    assert client.get(f"/users/{UNKNOWN_ID}").status_code == 404
    assert client.post("/users", json={}).status_code == 422
    assert logged() == []


def test_body_above_64_kib_is_413(client: TestClient, domain: Domain) -> None:
    for size, status in ((64 * 1024, 422), (64 * 1024 + 1, 413)):
        body = '{"name": "' + "x" * (size - 12) + '"}'
        assert len(body) == size
        response = client.post(domain.path, content=body, headers={"content-type": "application/json"})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
    assert "65536 bytes" in response.json()["detail"]


def test_deeply_nested_body_is_400(client: TestClient, domain: Domain) -> None:
    body = '{"name": ' + "[" * 32_000 + "]" * 32_000 + "}"
    response = client.post(domain.path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
