"""OPTIONS on an HTTP API as AWS answers it: the route is found first, and its authorizer refuses a preflight, which has no token.

The emulator answers every OPTIONS by the API's CORS configuration, before it looks at routes. What is to reach the integration
is handed on as `options`, which it takes for a method like others; `written_large` has the event say OPTIONS nevertheless.
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, header
from sandbox.emulator_server.strict import answers
from sandbox.emulator_server.strict.asking import Asking

API_HOST = re.compile(r"^(?P<api>[^.]+)\.execute-api\.")
OWN_HOST = re.compile(r"^(localhost|127\.0\.0\.1|host\.docker\.internal|\d+\.\d+\.\d+\.\d+)(:\d+)?$")
REGION = "eu-central-1"


class Preflights:
    """An application whose HTTP APIs answer OPTIONS as AWS's do."""

    def __init__(self, app: App, region: str = REGION) -> None:
        self.app = app
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS of an API where AWS answers otherwise; hand everything else on."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            answer = await self._answer(scope, Asking(self.app, scope, self.region))
            if answer == "integration":
                await self.app({**scope, "method": "options"}, receive, send)
                return
            if isinstance(answer, Response):
                await answer.send(send)
                return
        await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, ask: Asking) -> Response | str | None:
        """Return the answer, or that it is the integration's, or None where the emulator answers as AWS does."""
        api = await _api(header(scope, b"host").decode("latin-1"), ask)
        described = await ask("apigatewayv2.GetApi", {"ApiId": api}) if api else None
        if not described:
            return None
        routes = (await ask("apigatewayv2.GetRoutes", {"ApiId": api}) or {}).get("Items", [])
        stages = (await ask("apigatewayv2.GetStages", {"ApiId": api}) or {}).get("Items", [])
        route = match(routes, "OPTIONS", _without_stage(scope["path"], [stage["StageName"] for stage in stages]))
        cors = described.get("CorsConfiguration")
        if route is None:
            return None if cors else _message(404, "Not Found")
        authorization = route.get("AuthorizationType", "NONE")
        if authorization != "NONE" and not header(scope, b"authorization"):
            return _message(403, "Forbidden") if authorization == "AWS_IAM" else _message(401, "Unauthorized")
        return None if cors else "integration"


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


def written_large(apigateway: Any) -> None:
    """Have MiniStack take `options` for OPTIONS where it looks for the route, and where it makes the event."""
    match_route, invoke = apigateway._match_route, apigateway._invoke_lambda_proxy

    def matched(api: str, method: str, path: str) -> Any:
        return match_route(api, method.upper(), path)

    async def invoked(integration: Any, api: str, stage: str, path: str, method: str, *rest: Any, **more: Any) -> Any:
        return await invoke(integration, api, stage, path, method.upper(), *rest, **more)

    apigateway._match_route, apigateway._invoke_lambda_proxy = matched, invoked


def _message(status: int, text: str) -> Response:
    return answers.whole(status, {"content-type": "application/json"}, f'{{"message":"{text}"}}'.encode())
