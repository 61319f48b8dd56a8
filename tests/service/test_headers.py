"""Security and cache headers of responses, and query parameters."""

import json
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from tests.service.domains import UNKNOWN_ID, AsCaller, Domain, create_item, item_path

COMMON_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/users", 200),
        ("POST", "/users", 415),
        ("GET", f"/users/{UNKNOWN_ID}", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/users", 405),
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
    ],
)
def test_responses_have_security_headers_and_no_store(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path, content=b"{}" if method == "POST" else None)
    assert response.status_code == status
    assert response.headers.items() >= (COMMON_HEADERS | {"cache-control": "no-store"}).items()


def test_uncaught_error_has_the_headers(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.kit.repository.Repository.page", None)
    response = client.get("/users")
    assert response.status_code == 500
    assert response.headers.items() >= (COMMON_HEADERS | {"cache-control": "no-store"}).items()


def test_malformed_event_gets_the_headers(main: ModuleType) -> None:
    response = main.handler({"version": "1.0", "httpMethod": "GET", "path": "/"}, None)
    assert response["statusCode"] == 400
    assert response["headers"].items() >= (COMMON_HEADERS | {"cache-control": "no-store"}).items()


def test_representation_with_an_etag_is_no_cache(client: TestClient, domain: Domain) -> None:
    path = item_path(domain, create_item(client, domain))
    for headers, status in (({}, 200), ({"if-none-match": "*"}, 304)):
        del client.headers["if-match"]
        response = client.get(path, headers=headers)
        client.headers["if-match"] = "*"
        assert response.status_code == status
        assert response.headers["cache-control"] == "private, no-cache"


def test_304_and_204_have_no_content_type(client: TestClient, domain: Domain) -> None:
    path = item_path(domain, create_item(client, domain))
    responses = [client.get(path, headers={"if-none-match": "*"}), client.delete(path)]
    assert [response.status_code for response in responses] == [304, 204]
    assert all(not {"content-type", "content-length"} & response.headers.keys() for response in responses)


def test_docs_page_only_runs_its_own_scripts(client: TestClient) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    directives = {name: values for name, *values in (directive.split() for directive in policy.split(";"))}
    assert directives["default-src"] == ["'none'"]
    assert directives["frame-ancestors"] == ["'none'"]
    assert directives["script-src"][0] == "'self'"
    assert len(directives["script-src"]) == 2
    assert directives["script-src"][1].startswith("'sha256-")


def test_asset_is_cached_for_a_day_with_its_hash_as_etag(client: TestClient) -> None:
    path = "/docs/assets/swagger-ui.css"
    first = client.get(path)
    assert first.headers["cache-control"] == "public, max-age=86400"
    assert first.headers["etag"] != client.get("/docs/assets/swagger-ui-bundle.js").headers["etag"]
    assert "last-modified" not in first.headers
    assert client.get(path, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/users?emial=x", ["query.emial"]),
        ("/users?limit=1&limit=2", ["query.limit"]),
        (f"/users/{UNKNOWN_ID}?fields=name&x=", ["query.fields", "query.x"]),
        ("/healthz?x=1", ["query.x"]),
    ],
)
def test_unknown_or_repeated_query_parameter_is_422(client: TestClient, path: str, fields: list[str]) -> None:
    response = client.get(path)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == fields


def test_missing_token_is_401_before_query_parameters(as_caller: AsCaller) -> None:
    assert as_caller(None).get("/users?emial=x").status_code == 401


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/users/a b", "/users/a%20b"),
        ("/nothing/\u00e9", "/nothing/%C3%A9"),
        ("/x%22%3C", "/x%22%3C"),
        ("/a@b:c", "/a@b:c"),
    ],
)
def test_problem_instance_is_a_uri_reference(client: TestClient, path: str, instance: str) -> None:
    assert json.loads(client.get(path).content)["instance"] == instance
