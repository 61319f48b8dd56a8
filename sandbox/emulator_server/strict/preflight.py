"""OPTIONS on an HTTP API as AWS answers it: the route is found first, and its authorizer refuses a preflight, which has no token.

The emulator answers every OPTIONS by the API's CORS configuration, before it looks at routes. What is to reach the function is
sent to it from here, without the emulator's API Gateway. Only an OPTIONS whose token an authorizer must judge is handed on as
`options`, which the emulator takes for a method like others; the function's event says `options` then.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import parse_qsl

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, header, read, whole
from sandbox.emulator_server.strict.asking import Asking

API_HOST = re.compile(r"^(?P<api>[^.]+)\.execute-api\.")
OWN_HOST = re.compile(r"^(localhost|127\.0\.0\.1|host\.docker\.internal|\d+\.\d+\.\d+\.\d+)(:\d+)?$")
FUNCTION = re.compile(r"(arn:[^:]+:lambda:[^/]+)(?:/invocations)?$")
REGION = "eu-central-1"


class Preflights:
    """An application whose HTTP APIs answer OPTIONS as AWS's do."""

    def __init__(self, app: App, region: str = REGION) -> None:
        self.app = app
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS of an API where AWS answers otherwise; hand everything else on."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            ask = Asking(self.app, scope, self.region)
            api = await _api(header(scope, b"host").decode("latin-1"), ask)
            described = await ask("apigatewayv2.GetApi", {"ApiId": api}) if api else None
            if api and described:
                await self._answer(scope, receive, send, ask, {"ApiId": api}, described.get("CorsConfiguration"))
                return
        await self.app(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, ask: Asking, api: dict[str, str], cors: Any
    ) -> None:
        routes = (await ask("apigatewayv2.GetRoutes", api) or {}).get("Items", [])
        stages = [stage["StageName"] for stage in (await ask("apigatewayv2.GetStages", api) or {}).get("Items", [])]
        path = _without_stage(scope["path"], stages)
        route = match(routes, "OPTIONS", path)
        authorization = route.get("AuthorizationType", "NONE") if route else "NONE"
        if authorization != "NONE" and not header(scope, b"authorization"):
            refused = _message(403, "Forbidden") if authorization == "AWS_IAM" else _message(401, "Unauthorized")
            await refused.send(send)
        elif cors:
            await self.app(scope, receive, send)
        elif route is None:
            await _message(404, "Not Found").send(send)
        elif authorization != "NONE":
            await self.app({**scope, "method": "options"}, receive, send)
        else:
            response = await _invoked(event(scope, await read(receive), api["ApiId"], route, path), api, route, ask)
            await response.send(send)


async def _invoked(sent: dict[str, Any], api: dict[str, str], route: dict[str, Any], ask: Asking) -> Response:
    """Return what a route's function answers an event, as API Gateway makes it of the function's response."""
    integration_id = route.get("Target", "").removeprefix("integrations/")
    integration = await ask("apigatewayv2.GetIntegration", api | {"IntegrationId": integration_id}) or {}
    function = FUNCTION.search(integration.get("IntegrationUri", ""))
    invoked = await ask(
        "lambda.Invoke", {"FunctionName": function and function[1], "Payload": json.dumps(sent).encode()}
    )
    if not invoked or invoked.get("FunctionError"):
        return _message(500, "Internal Server Error")
    answer = json.loads(invoked["Payload"])
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = {key.lower(): str(value) for key, value in (answer.get("headers") or {}).items()}
    headers.pop("content-length", None)
    return whole(int(answer["statusCode"]), headers, content)


def event(scope: Scope, body: bytes, api: str, route: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the event of a request, in payload format 2.0."""
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
    made: dict[str, Any] = {"version": "2.0", "routeKey": route["RouteKey"], "rawPath": scope["path"]}
    made |= {"rawQueryString": query, "headers": headers, "requestContext": context, "isBase64Encoded": bool(body)}
    if query:
        made["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    if body:
        made["body"] = base64.b64encode(body).decode()
    return made


async def _api(host: str, ask: Asking) -> str | None:
    """Return the API that a host is of: its own, or a domain's."""
    if found := API_HOST.match(host):
        return found["api"]
    if not host or OWN_HOST.match(host):
        return None
    mappings = await ask("apigatewayv2.GetApiMappings", {"DomainName": host.partition(":")[0]})
    return mappings["Items"][0]["ApiId"] if mappings and mappings.get("Items") else None


def _without_stage(path: str, stages: list[str]) -> str:
    first, _, rest = path.lstrip("/").partition("/")
    return f"/{rest}" if first in stages and first != "$default" else path


def match(routes: list[dict[str, Any]], method: str, path: str) -> dict[str, Any] | None:
    """Return the route that API Gateway selects: whole paths before greedy ones, the method before ANY, $default at last.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.evaluation
    """
    best: tuple[tuple[bool, int, bool], dict[str, Any]] | None = None
    for route in routes:
        wanted, _, template = route["RouteKey"].partition(" ")
        if wanted not in (method, "ANY") or not template:
            continue
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else (".+" if part.endswith("+") else "[^/]+")
            for number, part in enumerate(re.split(r"\{([^}]+)\}", template))
        )
        if re.fullmatch(pattern, path):
            rank = ("+}" not in template, len(re.sub(r"\{[^}]+\}", "", template)), wanted == method)
            if best is None or rank > best[0]:
                best = rank, route
    return best[1] if best else next((route for route in routes if route["RouteKey"] == "$default"), None)


def _message(status: int, text: str) -> Response:
    return whole(status, {"content-type": "application/json"}, f'{{"message":"{text}"}}'.encode())
