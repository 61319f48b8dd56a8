"""Payload format 1.0 of HTTP APIs, with which functions written for a REST API keep working.

The emulator stores an integration's format, but sends every function an event of format 2.0. So requests for a route without
an authorizer, whose integration has format 1.0, are sent to the function from here. With an authorizer the event is still of format 2.0.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, header, make_response, read
from sandbox.emulator_server.strict.lookups import Lookups
from sandbox.emulator_server.strict.preflight import API_HOST, FUNCTION, REGION, message, select_route

# Bodies of these types are text in an event, all others base64; a body without a type is base64, too.
TEXT = re.compile(rb"^\s*(text/|application/(json|xml|javascript)\s*(;|$))", re.IGNORECASE)
# What API Gateway sends if the function names no type.
CONTENT_TYPE = "text/plain;charset=UTF-8"
CONTROL_PLANE = "/v2/apis"
IDENTITY = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


@dataclass(frozen=True)
class Routes:
    """The routes of an API, and the function ARNs of its integrations of format 1.0 by id."""

    routes: list[dict[str, Any]]
    functions: dict[str, str]


class Payloads:
    """Middleware that invokes functions of integrations of format 1.0 as AWS does."""

    def __init__(self, app: App, region: str = REGION) -> None:
        self.app = app
        self.region = region
        self.known: dict[str, Routes] = {}
        self.changes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request for such an integration; pass everything else on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if (host := API_HOST.match(header(scope, b"host").decode("latin-1"))) is None:
            await self._watched(scope, receive, send)
            return
        lookup = Lookups(self.app, scope, self.region)
        api = host["api"]
        found = self.known.get(api) or await self._routes(api, lookup)
        route = select_route(found.routes, scope["method"], scope["path"]) if found.functions else None
        function = found.functions.get((route or {}).get("Target", "").removeprefix("integrations/"))
        if route is None or function is None or route.get("AuthorizationType", "NONE") != "NONE":
            await self.app(scope, receive, send)
            return
        payload = event(scope, await read(receive), api, route["RouteKey"])
        invocation = await lookup("lambda.Invoke", {"FunctionName": function, "Payload": json.dumps(payload).encode()})
        await response(invocation).send(send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and forget the routes if it changes some."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["path"].startswith(CONTROL_PLANE) and scope["method"] != "GET":
                self.changes += 1
                self.known.clear()

    async def _routes(self, api: str, lookup: Lookups) -> Routes:
        changes = self.changes
        integrations = await lookup("apigatewayv2.GetIntegrations", {"ApiId": api}) or {}
        functions = {
            each["IntegrationId"]: arn[1]
            for each in integrations.get("Items", [])
            if each.get("PayloadFormatVersion") == "1.0" and (arn := FUNCTION.search(each.get("IntegrationUri", "")))
        }
        routes = await lookup("apigatewayv2.GetRoutes", {"ApiId": api}) if functions else None
        found = Routes((routes or {}).get("Items", []), functions)
        if changes == self.changes:
            self.known[api] = found
        return found


def event(scope: Scope, body: bytes, api: str, route_key: str) -> dict[str, Any]:
    """Return a request's event in payload format 1.0."""
    headers: dict[str, list[str]] = {}
    for key, value in scope["headers"]:
        headers.setdefault(key.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(key, []).append(value)
    template = route_key.partition(" ")[2]
    is_text = bool(TEXT.match(header(scope, b"content-type")))
    single = {key: values[-1] for key, values in headers.items()}
    domain = single.get("host", "").partition(":")[0]
    now, identity = time.time(), str(uuid.uuid4())
    return {
        "version": "1.0",
        "resource": template or "$default",
        "path": scope["path"],
        "httpMethod": scope["method"],
        "headers": single,
        "multiValueHeaders": headers,
        "queryStringParameters": {key: values[-1] for key, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api,
            "authorizer": {"claims": None, "scopes": None},
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": identity,
            "httpMethod": scope["method"],
            "identity": dict.fromkeys(IDENTITY) | {"sourceIp": "127.0.0.1", "userAgent": single.get("user-agent", "")},
            "path": scope["path"],
            "protocol": "HTTP/1.1",
            "requestId": identity,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": None,
            "resourcePath": template or "$default",
            "stage": "$default",
        },
        "pathParameters": _path_parameters(template, scope["path"]) or None,
        "stageVariables": None,
        "body": (body.decode("utf-8", "replace") if is_text else base64.b64encode(body).decode()) if body else None,
        "isBase64Encoded": bool(body) and not is_text,
    }


def response(invocation: dict[str, Any] | None) -> Response:
    """Return a function's result as API Gateway's response: 500 for an error, and for a result without a status."""
    result: Any = None
    try:
        result = json.loads(invocation["Payload"]) if invocation and not invocation.get("FunctionError") else None
        status = int(result["statusCode"])
    except (ValueError, KeyError, TypeError):
        return message(500, "Internal Server Error")
    headers = {key.lower(): [str(value)] for key, value in (result.get("headers") or {}).items()}
    for key, values in (result.get("multiValueHeaders") or {}).items():
        headers[key.lower()] = [str(value) for value in values]
    headers.pop("content-length", None)
    headers.setdefault("content-type", [CONTENT_TYPE])
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else str(body).encode()
    made = make_response(status, {}, content)
    pairs = [(key.encode(), value.encode("latin-1", "replace")) for key, values in headers.items() for value in values]
    made.messages[0]["headers"] += pairs
    return made


def _path_parameters(template: str, path: str) -> dict[str, str]:
    parts = re.split(r"\{([^}]+)\}", template)
    pattern = "".join(
        re.escape(part) if number % 2 == 0 else ("(.+)" if part.endswith("+") else "([^/]+)")
        for number, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, path)
    return dict(zip((name.rstrip("+") for name in parts[1::2]), found.groups(), strict=True)) if found else {}
