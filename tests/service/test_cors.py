"""Cross-origin requests that the application answers by itself."""

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
    """A client of an application that allows one origin; nobody whom the gateway knows."""
    monkeypatch.setenv("CORS_ORIGINS", f"{ORIGIN} https://admin.example.com")
    reload_settings()
    return TestClient(create_app())


def test_a_preflight_of_an_allowed_origin_lists_what_it_may_send(browser: TestClient) -> None:
    asked = PREFLIGHT | {"access-control-request-headers": "authorization,content-type,idempotency-key,if-match"}
    response = browser.options(USERS.path, headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"].split(", ")
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize(
    "asked",
    [{"origin": "https://elsewhere.example"}, {"access-control-request-headers": "x-unknown"}],
    ids=["origin", "header"],
)
def test_a_preflight_for_anything_else_is_400(browser: TestClient, asked: dict[str, str]) -> None:
    assert browser.options(USERS.path, headers=PREFLIGHT | asked).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/healthz", 200), ("GET", "/users", 401), ("GET", "/nothing", 404)]
)
def test_every_response_can_be_read_by_an_allowed_origin_and_by_no_other(
    browser: TestClient, method: str, path: str, status: int
) -> None:
    response = browser.request(method, path, headers={"origin": ORIGIN})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"etag", "link", "location", "retry-after", "x-correlation-id"} <= set(exposed)
    other = browser.request(method, path, headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


def test_an_uncaught_error_can_be_read_by_an_allowed_origin(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.kit.auth.Authorized.authorize", None)
    response = browser.get("/users", headers={"origin": ORIGIN})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_without_origins_no_response_has_cors_headers(client: TestClient) -> None:
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
def test_origins_that_browsers_would_never_match_are_refused_at_start(
    table: object, monkeypatch: pytest.MonkeyPatch, origins: str, credentials: str, reason: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    monkeypatch.setenv("CORS_CREDENTIALS", credentials)
    reload_settings()
    with pytest.raises(ValidationError, match=reason.replace("*", r"\*")):
        settings()
