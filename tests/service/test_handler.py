"""Lambda's handler, with API Gateway events of payload format 2.0 and with other events."""

import asyncio
import base64
import gc
import io
import json
import threading
from collections.abc import AsyncGenerator, Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio.to_thread
import pytest
from fastapi import Request, Response

from service.aws_lambda.event import UnsupportedEventError
from service.kit.auth import Caller
from tests.service.domains import SCOPES, UNKNOWN_ID, Domain, jwt

ADA = '{"email":"ada@example.com","name":"Ada"}'


def event(method: str, path: str, body: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return an event of payload format 2.0, as in API Gateway's documentation."""
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


def test_http_event_gets_the_applications_response(main: ModuleType) -> None:
    response = main.handler(event("POST", "/users", ADA), None)
    assert response["statusCode"] == 201
    user = json.loads(response["body"])
    assert user["email"] == "ada@example.com"
    assert json.loads(main.handler(event("GET", response["headers"]["location"]), None)["body"]) == user


def test_query_string_reaches_the_application(main: ModuleType) -> None:
    assert main.handler(event("GET", "/users", rawQueryString="limit=1"), None)["statusCode"] == 200
    assert main.handler(event("GET", "/users", rawQueryString="limit=0"), None)["statusCode"] == 422


def test_base64_body_is_decoded(main: ModuleType) -> None:
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
def test_text_response_is_not_base64(main: ModuleType, path: str, media_type: str) -> None:
    response = main.handler(event("GET", path), None)
    assert response["headers"]["content-type"] == media_type
    assert response["isBase64Encoded"] is False


def test_binary_response_is_base64(main: ModuleType) -> None:
    response = main.handler(event("GET", "/docs/assets/favicon-32x32.png"), None)
    assert response["isBase64Encoded"] is True
    assert base64.b64decode(response["body"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("headers", [None, {}])
def test_missing_headers_are_accepted(main: ModuleType, headers: dict[str, str] | None) -> None:
    assert main.handler(event("GET", "/healthz", headers=headers), None)["statusCode"] == 200


def test_ping_returns_pong_without_a_request(main: ModuleType, stdout: io.StringIO) -> None:
    assert main.handler({"ping": True}, None) == {"pong": True}
    assert stdout.getvalue() == ""


SCHEDULED = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "111122223333",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:events:eu-central-1:111122223333:rule/warm"],
    "detail": {},
}


@pytest.mark.parametrize(
    ("other", "description"),
    [
        ({"Records": [{"messageId": "1", "body": "secret", "eventSource": "aws:sqs"}]}, "the keys 'Records'"),
        ({"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "secret"}}}]}, "the keys 'Records'"),
        (SCHEDULED, "'detail', 'detail-type', 'id', 'region', 'resources'"),
        (
            {"headers": {}, "requestContext": {"eventType": "CONNECT", "routeKey": "$connect", "connectionId": "x"}},
            "the keys 'headers', 'requestContext'",
        ),
        ({"requestContext": None}, "the keys 'requestContext'"),
        ({"requestContext": "secret"}, "the keys 'requestContext'"),
        ({"source": "secret", "warmer": True}, "the keys 'source', 'warmer'"),
        ({"ping": "secret"}, "the keys 'ping'"),
        ({"ping": True, "more": "secret"}, "the keys 'more', 'ping'"),
        ({"\ud800" * 100: "secret"}, "the keys '" + "\\ud800" * 40 + "'"),
        ({str(number): "secret" for number in range(100)}, "'16', '17' and 90 more"),
        ({}, "an event without keys"),
        (["secret"], "a value of type list"),
        ("secret", "a value of type str"),
        (None, "a value of type NoneType"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_non_http_event_raises_and_names_its_keys(main: ModuleType, other: object, description: str) -> None:
    with pytest.raises(UnsupportedEventError) as error:
        main.handler(other, None)
    assert description in str(error.value)
    assert '{"ping": true}' in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("version", {"version": "1.0"}),
        ("version", {"version": None}),
        ("requestContext.http", {"requestContext": {"http": None}}),
        ("requestContext.http.method", {"requestContext": {"http": {"path": "/users"}}}),
        (
            "requestContext.authorizer",
            {"requestContext": {"http": {"method": "GET", "path": "/"}, "authorizer": "ada"}},
        ),
        ("headers", {"headers": {"host": "api.example.com:http"}}),
        ("headers", {"headers": {"host": "a:1:2"}}),
        ("headers", {"headers": {"host": "[::1"}}),
        ("headers", {"headers": {"host": "api.example.com/users"}}),
        ("headers", {"headers": {"x-forwarded-port": "https"}}),
        ("headers", {"headers": {"x-forwarded-port": "9" * 5000}}),
        ("headers.x-number", {"headers": {"x-number": 1}}),
        ("headers.x-half", {"headers": {"x-half": "\ud800"}}),
        ("body", {"body": {"email": "ada@example.com"}}),
        ("body", {"body": "\ud800"}),
        ("body", {"body": "{not base64}", "isBase64Encoded": True}),
        ("body", {"body": "YWJj=ZGVm", "isBase64Encoded": True}),
        ("body", {"body": "é", "isBase64Encoded": True}),
        ("cookies", {"cookies": "a=1"}),
    ],
)
def test_malformed_event_is_400_with_the_invalid_field(main: ModuleType, field: str, changes: dict[str, Any]) -> None:
    response = main.handler(event("POST", "/users", **changes), None)
    assert response["statusCode"] == 400
    assert response["headers"]["content-type"] == "application/problem+json"
    problem = json.loads(response["body"])
    assert problem["instance"] == "/users"
    assert field in [error["field"] for error in problem["errors"]]


def test_other_payload_formats_are_400(main: ModuleType) -> None:
    payload_1 = {"version": "1.0", "resource": "/users", "path": "/users", "httpMethod": "GET", "requestContext": {}}
    load_balancer = {"httpMethod": "GET", "path": "/users", "requestContext": {"elb": {"targetGroupArn": "arn"}}}
    assert [main.handler(other, None)["statusCode"] for other in (payload_1, load_balancer)] == [400, 400]


@pytest.mark.parametrize("invalid", [None, 0, True, "", "\ud800", [], ["\ud800"], {}, {"\ud800": "\ud800"}], ids=ascii)
def test_invalid_values_in_an_event_never_raise(main: ModuleType, invalid: object) -> None:
    valid = event("GET", "/healthz")
    context, http = valid["requestContext"], valid["requestContext"]["http"]
    headers = valid["headers"]
    events = [
        *(valid | {name: invalid} for name in (*valid, "body", "cookies")),
        *(valid | {"requestContext": context | {name: invalid}} for name in context),
        *(valid | {"requestContext": context | {"http": http | {name: invalid}}} for name in http),
        *(valid | {"headers": headers | {name: invalid}} for name in headers),
    ]
    for changed in events:
        response = main.handler(changed, None)
        assert response["statusCode"] in (200, 204, 400, 404, 405), changed
        json.dumps(response)


@pytest.mark.parametrize(
    "changes",
    [
        {"rawQueryString": None},
        {"cookies": None},
        {"isBase64Encoded": None},
        {"body": None},
        {"body": "", "isBase64Encoded": True},
        {"headers": {"host": "[2001:db8::1]:8443"}},
        {
            "headers": {"host": "[::1]:1"},
            "requestContext": {"http": {"method": "GET", "path": "/healthz"}, "domainName": "[::1]:1"},
        },
        {"headers": {"host": "localhost:4566"}},
        {"headers": {"host": ""}},
        {"headers": {"Host": None, "x-nothing": None}},
        {"requestContext": {"http": {"method": "GET", "path": "/healthz"}}},
        {"requestContext": {"http": {"method": "GET", "path": "/healthz", "sourceIp": None}, "domainName": None}},
    ],
    ids=repr,
)
def test_missing_and_unusual_values_are_accepted(main: ModuleType, changes: dict[str, Any]) -> None:
    assert main.handler(event("GET", "/healthz", **changes), None)["statusCode"] == 200


@pytest.mark.parametrize("path", ["/users/a%2Fb", "/users/%2e%2e", "/users/%00", "/users/%FF", "/users/%", "//users"])
def test_unusual_path_is_404_or_422(main: ModuleType, path: str) -> None:
    response = main.handler(event("GET", path), None)
    assert response["statusCode"] in (404, 422)
    assert response["headers"]["content-type"] == "application/problem+json"


def test_repeated_headers_and_cookies_are_kept(main: ModuleType) -> None:
    @main.app.get("/echo")  # type: ignore[untyped-decorator]
    async def echo(request: Request, response: Response) -> dict[str, Any]:
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        response.headers.append("x-many", "a")
        response.headers.append("x-many", "b")
        return {"cookies": request.cookies, "many": request.headers["x-many"]}

    request = event("GET", "/echo", cookies=["a=1", "b=2"], headers={"x-many": "a,b"})
    response = main.handler(request, None)
    assert json.loads(response["body"]) == {"cookies": {"a": "1", "b": "2"}, "many": "a,b"}
    assert [cookie.partition(";")[0] for cookie in response["cookies"]] == ["one=1", "two=2"]
    assert response["headers"]["x-many"] == "a,b"


def test_log_lines_carry_lambdas_request_id(main: ModuleType, logged: Callable[[], list[dict[str, Any]]]) -> None:
    main.handler(event("GET", "/healthz", version="1.0"), SimpleNamespace(aws_request_id="1-2-3"))
    (line,) = logged()
    assert line["request_id"] == "1-2-3"
    assert line["level"] == "WARN"


def test_authorizer_claims_reach_the_application(main: ModuleType) -> None:
    @main.app.get("/whoami")  # type: ignore[untyped-decorator]
    async def whoami(caller: Caller) -> str:
        return caller.subject

    request = event("GET", "/whoami")
    assert json.loads(main.handler(request, None)["body"]) == "ada"
    del request["requestContext"]["authorizer"]
    assert main.handler(request, None)["statusCode"] == 401


def test_no_route_runs_in_a_thread(main: ModuleType, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("a route or a dependency is not a coroutine, and runs in a thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", fail)
    body, path = json.dumps(domain.body), f"{domain.path}/{UNKNOWN_ID}"
    statuses = [
        main.handler(request, None)["statusCode"]
        for request in (
            event("POST", domain.path, body),
            event("GET", domain.path),
            event("GET", path),
            event("PUT", path, body),
            event("PATCH", path, body),
            event("DELETE", path),
            event("GET", "/readyz"),
        )
    ]
    assert statuses == [201, 200, 404, 404, 404, 404, 200]


def test_pending_work_on_the_event_loop_is_run(main: ModuleType) -> None:
    done: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            done.append("aclose")

    @main.app.get("/leaves")  # type: ignore[untyped-decorator]
    async def leaves() -> None:
        async def task() -> None:
            done.append("create_task")

        tasks.add(asyncio.create_task(task()))
        asyncio.get_running_loop().call_soon(done.append, "call_soon")
        async for _ in numbers():
            break
        gc.collect()

    assert main.handler(event("GET", "/leaves"), None)["statusCode"] == 200
    assert {"create_task", "call_soon"} <= set(done)
    main.handler(event("GET", "/healthz"), None)  # the generator's second step may need another run of the loop
    assert sorted(done) == ["aclose", "call_soon", "create_task"]


def test_2000_requests_leave_no_pending_tasks(main: ModuleType) -> None:
    tasks: set[asyncio.Task[None]] = set()

    @main.app.get("/leaves")  # type: ignore[untyped-decorator]
    async def leaves() -> None:
        tasks.add(asyncio.create_task(asyncio.sleep(0)))

    for _ in range(2000):
        main.handler(event("GET", "/leaves"), None)
    main.handler(event("GET", "/healthz"), None)
    assert len(tasks) == 2000
    assert asyncio.all_tasks(asyncio.get_event_loop()) == set()


def test_suspended_request_is_awaited(main: ModuleType) -> None:
    @main.app.get("/waits")  # type: ignore[untyped-decorator]
    async def waits() -> str:
        await asyncio.sleep(0.001)
        return await anyio.to_thread.run_sync(lambda: "waited")

    response = main.handler(event("GET", "/waits"), None)
    assert (response["statusCode"], response["body"]) == (200, '"waited"')


def test_thread_without_an_event_loop_gets_one(main: ModuleType) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.extend(main.handler(event("GET", "/healthz"), None)["statusCode"] for _ in range(2))
        asyncio.get_event_loop().close()

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert statuses == [200, 200]


def test_handler_works_after_asyncio_run(main: ModuleType) -> None:
    asyncio.get_event_loop().close()  # asyncio.run leaves the thread without an event loop
    asyncio.run(asyncio.sleep(0))
    assert main.handler(event("GET", "/healthz"), None)["statusCode"] == 200
    asyncio.get_event_loop().close()
    assert main.handler(event("GET", "/healthz"), None)["statusCode"] == 200
