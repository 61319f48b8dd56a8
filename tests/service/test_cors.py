"""CORS handled by the application."""

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.app import create_app
from service.settings import settings
from tests.service.conftest import reload_settings
from tests.service.domains import USERS

ORIGIN = "https://app.example.com"
PREFLIGHT = {"origin": ORIGIN, "access-control-request-method": "PATCH"}


@pytest.fixture
def browser(table: object, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """An unauthenticated client of an application that allows two origins."""
    monkeypatch.setenv("CORS_ORIGINS", f"{ORIGIN} https://admin.example.com")
    reload_settings()
    return TestClient(create_app())


def test_preflight_of_an_allowed_origin_is_200(browser: TestClient) -> None:
    headers = PREFLIGHT | {"access-control-request-headers": "authorization,content-type,idempotency-key,if-match"}
    response = browser.options(USERS.path, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"].split(", ")
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://elsewhere.example"}, {"access-control-request-headers": "x-unknown"}],
    ids=["origin", "header"],
)
def test_preflight_of_another_origin_or_header_is_400(browser: TestClient, headers: dict[str, str]) -> None:
    assert browser.options(USERS.path, headers=PREFLIGHT | headers).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/healthz", 200), ("GET", "/users", 401), ("GET", "/nothing", 404)]
)
def test_responses_have_cors_headers_only_for_allowed_origins(
    browser: TestClient, method: str, path: str, status: int
) -> None:
    response = browser.request(method, path, headers={"origin": ORIGIN})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"etag", "link", "location", "retry-after", "x-correlation-id"} <= set(exposed)
    other = browser.request(method, path, headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


def test_uncaught_error_has_cors_headers(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.kit.auth.Authorized.authorize", None)
    response = browser.get("/users", headers={"origin": ORIGIN})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_no_cors_headers_without_configured_origins(client: TestClient) -> None:
    response = client.get("/healthz", headers={"origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origins", "credentials", "reason"),
    [
        ("https://app.example.com/", "false", "'https://app.example.com/' is not an origin"),
        ("app.example.com", "false", "'app.example.com' is not an origin"),
        ("*", "true", '"*" does not go with credentials'),
    ],
)
def test_invalid_origins_are_rejected_at_startup(
    table: object, monkeypatch: pytest.MonkeyPatch, origins: str, credentials: str, reason: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    monkeypatch.setenv("CORS_CREDENTIALS", credentials)
    reload_settings()
    with pytest.raises(ValidationError, match=reason.replace("*", r"\*")):
        settings()
