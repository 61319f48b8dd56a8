"""The handler as Lambda calls it, with API Gateway's events of payload 2.0 and with others."""

import base64
import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio.to_thread
import pytest

from service.auth import Caller
from tests.service.domains import SCOPES, UNKNOWN, Domain, jwt

ADA = '{"email":"ada@example.com","name":"Ada"}'


def event(method: str, path: str, body: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return what API Gateway sends, as its documentation shows it."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "host": "api.example.com",
            "content-type": "application/json",
            "if-match": "*",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "api",
            "domainName": "api.example.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "authorizer": jwt(SCOPES),
            "requestId": "gateway-request",
            "stage": "$default",
        },
        "isBase64Encoded": False,
        **({} if body is None else {"body": body}),
        **changes,
    }


def test_a_request_goes_through(main: ModuleType) -> None:
    response = main.handler(event("POST", "/users", ADA), None)
    assert response["statusCode"] == 201
    user = json.loads(response["body"])
    assert user["email"] == "ada@example.com"
    assert json.loads(main.handler(event("GET", response["headers"]["location"]), None)["body"]) == user


def test_a_query_goes_through(main: ModuleType) -> None:
    assert main.handler(event("GET", "/users", rawQueryString="limit=1"), None)["statusCode"] == 200
    assert main.handler(event("GET", "/users", rawQueryString="limit=0"), None)["statusCode"] == 422


def test_a_body_may_come_in_base64(main: ModuleType) -> None:
    body = base64.b64encode(ADA.encode()).decode()
    assert main.handler(event("POST", "/users", body, isBase64Encoded=True), None)["statusCode"] == 201


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/nothing", "application/problem+json"),
        ("/healthz", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/assets/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/assets/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
def test_text_is_not_in_base64(main: ModuleType, path: str, media_type: str) -> None:
    response = main.handler(event("GET", path), None)
    assert response["headers"]["content-type"] == media_type
    assert response["isBase64Encoded"] is False


def test_a_picture_is_in_base64(main: ModuleType) -> None:
    response = main.handler(event("GET", "/docs/assets/favicon-32x32.png"), None)
    assert response["isBase64Encoded"] is True
    assert base64.b64decode(response["body"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("headers", [None, {}])
def test_headers_may_be_missing(main: ModuleType, headers: dict[str, str] | None) -> None:
    assert main.handler(event("GET", "/healthz", headers=headers), None)["statusCode"] == 200


@pytest.mark.parametrize(
    "ping",
    [
        {},
        {"source": "aws.events"},
        {"requestContext": None},
        {"requestContext": {"http": None}},
        {"requestContext": {"connectionId": "x"}},
        {"Records": []},
        [],
        "ping",
        None,
    ],
    ids=repr,
)
def test_what_is_no_http_request_does_nothing(main: ModuleType, ping: object) -> None:
    assert main.handler(ping, None) == {"statusCode": 204}


def test_log_lines_carry_lambdas_request_id(main: ModuleType, logged: Callable[[], list[dict[str, Any]]]) -> None:
    main.handler({}, SimpleNamespace(aws_request_id="1-2-3"))
    (line,) = logged()
    assert line["request_id"] == "1-2-3"
    assert line["level"] == "INFO"


def test_the_gateways_claims_reach_the_application(main: ModuleType) -> None:
    @main.app.get("/whoami")  # type: ignore[untyped-decorator]
    async def whoami(caller: Caller) -> str:
        return caller.subject

    asked = event("GET", "/whoami")
    assert json.loads(main.handler(asked, None)["body"]) == "ada"
    del asked["requestContext"]["authorizer"]
    assert main.handler(asked, None)["statusCode"] == 401


def test_no_request_waits_for_a_thread(main: ModuleType, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*arguments: object, **options: object) -> None:
        raise AssertionError("a route or a dependency that is no coroutine runs in a thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", refused)
    whole, path = json.dumps(domain.whole), f"{domain.path}/{UNKNOWN}"
    statuses = [
        main.handler(asked, None)["statusCode"]
        for asked in (
            event("POST", domain.path, whole),
            event("GET", domain.path),
            event("GET", path),
            event("PUT", path, whole),
            event("PATCH", path, whole),
            event("DELETE", path),
            event("GET", "/readyz"),
        )
    ]
    assert statuses == [201, 200, 404, 404, 404, 404, 200]
