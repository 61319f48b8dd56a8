"""OPTIONS on an HTTP API as on AWS: route first, then authorizer, which rejects a preflight since it has no token.

The emulator applies the API's CORS configuration to every OPTIONS before it routes. So requests for the function are sent to it
from here, without the emulator's API Gateway. Only an OPTIONS with a token for an authorizer is passed on, as `options`, which
the emulator treats like any method; the function's event then has `options`.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import parse_qsl

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, header, make_response, read
from sandbox.emulator_server.strict.lookups import Lookups

API_HOST = re.compile(r"^(?P<api>[^.]+)\.execute-api\.")
OWN_HOST = re.compile(r"^(localhost|127\.0\.0\.1|host\.docker\.internal|\d+\.\d+\.\d+\.\d+)(:\d+)?$")
FUNCTION = re.compile(r"(arn:[^:]+:lambda:[^/]+)(?:/invocations)?$")
REGION = "eu-central-1"


class Preflights:
    """Middleware that handles OPTIONS of HTTP APIs as AWS does."""

    def __init__(self, app: App, region: str = REGION) -> None:
        self.app = app
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle OPTIONS where AWS differs; pass everything else on."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            lookup = Lookups(self.app, scope, self.region)
            api = await _api_id(header(scope, b"host").decode("latin-1"), lookup)
            configuration = await lookup("apigatewayv2.GetApi", {"ApiId": api}) if api else None
            if api and configuration:
                await self._respond(
                    scope, receive, send, lookup, {"ApiId": api}, configuration.get("CorsConfiguration")
                )
                return
        await self.app(scope, receive, send)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, lookup: Lookups, api: dict[str, str], cors: Any
    ) -> None:
        routes = (await lookup("apigatewayv2.GetRoutes", api) or {}).get("Items", [])
        stages = [stage["StageName"] for stage in (await lookup("apigatewayv2.GetStages", api) or {}).get("Items", [])]
        path = _without_stage(scope["path"], stages)
        route = select_route(routes, "OPTIONS", path)
        authorization = route.get("AuthorizationType", "NONE") if route else "NONE"
        if authorization != "NONE" and not header(scope, b"authorization"):
            error = message(403, "Forbidden") if authorization == "AWS_IAM" else message(401, "Unauthorized")
            await error.send(send)
        elif cors:
            await self.app(scope, receive, send)
        elif route is None:
            await message(404, "Not Found").send(send)
        elif authorization != "NONE":
            await self.app({**scope, "method": "options"}, receive, send)
        else:
            payload = event(scope, await read(receive), api["ApiId"], route, path)
            response = await _invoke(payload, api, route, lookup)
            await response.send(send)


async def _invoke(payload: dict[str, Any], api: dict[str, str], route: dict[str, Any], lookup: Lookups) -> Response:
    """Invoke a route's function with an event, and return its result as API Gateway's response."""
    integration_id = route.get("Target", "").removeprefix("integrations/")
    integration = await lookup("apigatewayv2.GetIntegration", api | {"IntegrationId": integration_id}) or {}
    function = FUNCTION.search(integration.get("IntegrationUri", ""))
    invocation = await lookup(
        "lambda.Invoke", {"FunctionName": function and function[1], "Payload": json.dumps(payload).encode()}
    )
    if not invocation or invocation.get("FunctionError"):
        return message(500, "Internal Server Error")
    result = json.loads(invocation["Payload"])
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    headers = {key.lower(): str(value) for key, value in (result.get("headers") or {}).items()}
    headers.pop("content-length", None)
    return make_response(int(result["statusCode"]), headers, content)


def event(scope: Scope, body: bytes, api: str, route: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a request's event in payload format 2.0."""
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    now = time.time()
    context = {
        "accountId": "000000000000",
        "apiId": api,
        "domainName": headers.get("host", "").partition(":")[0],
        "domainPrefix": headers.get("host", "").partition(".")[0],
        "http": {
            "method": scope["method"],
            "path": scope["path"],
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": str(uuid.uuid4()),
        "routeKey": route["RouteKey"],
        "stage": "$default" if path == scope["path"] else scope["path"].split("/")[1],
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }
    payload: dict[str, Any] = {"version": "2.0", "routeKey": route["RouteKey"], "rawPath": scope["path"]}
    payload |= {"rawQueryString": query, "headers": headers, "requestContext": context, "isBase64Encoded": bool(body)}
    if query:
        payload["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    if body:
        payload["body"] = base64.b64encode(body).decode()
    return payload


async def _api_id(host: str, lookup: Lookups) -> str | None:
    """Return the id of the API behind a host, which is its own or a custom domain."""
    if match := API_HOST.match(host):
        return match["api"]
    if not host or OWN_HOST.match(host):
        return None
    mappings = await lookup("apigatewayv2.GetApiMappings", {"DomainName": host.partition(":")[0]})
    return mappings["Items"][0]["ApiId"] if mappings and mappings.get("Items") else None


def _without_stage(path: str, stages: list[str]) -> str:
    first, _, rest = path.lstrip("/").partition("/")
    return f"/{rest}" if first in stages and first != "$default" else path


def select_route(routes: list[dict[str, Any]], method: str, path: str) -> dict[str, Any] | None:
    """Return the route that API Gateway selects: full paths before greedy ones, a method before ANY, $default last.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.evaluation
    """
    best: tuple[tuple[bool, int, bool], dict[str, Any]] | None = None
    for route in routes:
        route_method, _, template = route["RouteKey"].partition(" ")
        if route_method not in (method, "ANY") or not template:
            continue
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else (".+" if part.endswith("+") else "[^/]+")
            for number, part in enumerate(re.split(r"\{([^}]+)\}", template))
        )
        if re.fullmatch(pattern, path):
            rank = ("+}" not in template, len(re.sub(r"\{[^}]+\}", "", template)), route_method == method)
            if best is None or rank > best[0]:
                best = rank, route
    return best[1] if best else next((route for route in routes if route["RouteKey"] == "$default"), None)


def message(status: int, text: str) -> Response:
    """Return an error of API Gateway itself."""
    return make_response(status, {"content-type": "application/json"}, f'{{"message":"{text}"}}'.encode())
