"""Integrations of payload format 1.0 get events of that format, and their responses are read as such."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator_server.asgi import Receive, Scope, Send, make_response, read
from sandbox.emulator_server.strict.payload import Payloads
from tests.sandbox.strict import Backend, send_raw

HOST = {"host": "a1.execute-api.localhost:4566"}
FUNCTION = "arn:aws:lambda:eu-central-1:000000000000:function:people"
JSON = {"content-type": "application/json; charset=utf-8"}
EMULATOR = 299


class Api(Backend):
    """An API with old routes (1.0) and others. `result` is the function's; other requests get the status EMULATOR."""

    def __init__(self, result: Any = None) -> None:
        uri = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
        self.result = {"statusCode": 200, "body": "ok"} if result is None else result
        self.events: list[dict[str, Any]] = []
        routes = [
            {"RouteKey": key, "Target": f"integrations/{integration}", "AuthorizationType": auth}
            for key, integration, auth in (
                ("GET /users/{id}", "old", "NONE"),
                ("POST /users", "old", "NONE"),
                ("PUT /users/{id}", "old", "JWT"),
                ("$default", "new", "NONE"),
            )
        ]
        integrations = [
            {"IntegrationId": "old", "IntegrationUri": uri, "PayloadFormatVersion": "1.0"},
            {"IntegrationId": "new", "IntegrationUri": uri, "PayloadFormatVersion": "2.0"},
        ]
        super().__init__(
            {
                "apigatewayv2.GetRoutes": {"Items": routes},
                "apigatewayv2.GetIntegrations": {"Items": integrations},
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/invocations"):
            self.events.append(json.loads(await read(receive)))
            await make_response(200, {}, json.dumps(self.result).encode()).send(send)
        elif ".execute-api." in dict(scope["headers"]).get(b"host", b"").decode():
            await make_response(EMULATOR, {}, b"").send(send)
        else:
            await super().__call__(scope, receive, send)


def test_event_has_the_form_of_1_0() -> None:
    api = Api()
    response = send_raw(Payloads(api), "GET", "/users/a b", {**HOST, "X-Trace": "t"}, query="x=1&x=2")
    (event,) = api.events

    assert (response.status, response.body) == (200, b"ok")
    assert (event["version"], event["resource"], event["httpMethod"]) == ("1.0", "/users/{id}", "GET")
    assert event["headers"]["x-trace"] == "t"
    assert event["multiValueHeaders"]["x-trace"] == ["t"]
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["requestContext"]["resourcePath"] == "/users/{id}"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (JSON, b'{"a": 1}', ('{"a": 1}', False)),
        ({}, b"a=1", ("YT0x", True)),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1", ("YT0x", True)),
        (JSON, b"", (None, False)),
    ],
)
def test_only_text_is_not_base64(headers: dict[str, str], body: bytes, expected: tuple[str | None, bool]) -> None:
    api = Api()
    send_raw(Payloads(api), "POST", "/users", HOST | headers, body)
    assert (api.events[0]["body"], api.events[0]["isBase64Encoded"]) == expected
    assert api.events[0]["pathParameters"] is None
    assert api.events[0]["queryStringParameters"] is None


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"statusCode": "404", "body": "no"}, 404, b"no"),
        ({"statusCode": 204}, 204, b""),
        ({"statusCode": 200, "body": "b2s=", "isBase64Encoded": True}, 200, b"ok"),
        ({"message": "not a response"}, 500, b'{"message":"Internal Server Error"}'),
        ("warm", 500, b'{"message":"Internal Server Error"}'),
    ],
)
def test_result_is_read_as_1_0(result: Any, status: int, body: bytes) -> None:
    response = send_raw(Payloads(Api(result)), "POST", "/users", HOST)
    assert (response.status, response.body) == (status, body)


def test_response_has_the_functions_headers_and_a_default_type() -> None:
    result = {"statusCode": 200, "headers": {"X-A": "1"}, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}}
    headers = send_raw(Payloads(Api(result)), "POST", "/users", HOST).messages[0]["headers"]
    assert (b"x-a", b"1") in headers
    assert [value for name, value in headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
    assert (b"content-type", b"text/plain;charset=UTF-8") in headers


@pytest.mark.parametrize(("method", "path"), [("PUT", "/users/1"), ("GET", "/other"), ("DELETE", "/users/1")])
def test_other_routes_and_those_with_an_authorizer_are_the_emulators(method: str, path: str) -> None:
    assert send_raw(Payloads(Api()), method, path, HOST).status == EMULATOR


def test_routes_are_read_once_until_they_change() -> None:
    api = Api()
    served = Payloads(api)
    for _ in range(3):
        send_raw(served, "GET", "/users/1", HOST)
    assert api.calls.count("apigatewayv2.GetRoutes") == 1
    credential = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/apigateway/aws4_request, Signature=0"
    send_raw(served, "DELETE", "/v2/apis/a1/routes/r1", {"host": "localhost", "authorization": credential})
    send_raw(served, "GET", "/users/1", HOST)
    assert api.calls.count("apigatewayv2.GetRoutes") == 2
