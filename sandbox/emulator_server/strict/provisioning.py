"""Provisioned concurrency with AWS's delays: environments take time, and an alias with it moves once the new version's are ready.

The emulator does both immediately. This also implements the listing of configurations, which the emulator lacks.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from sandbox.emulator_server.asgi import (
    App,
    Receive,
    Response,
    Scope,
    Send,
    call_app,
    json_response,
    read,
    replay,
    subrequest,
)
from sandbox.emulator_server.strict.refusals import LAMBDA_NAME

CONFIG = re.compile(r"^/2019-09-30/functions/([^/]+)/provisioned-concurrency$")
ALIAS = re.compile(r"^/2015-03-31/functions/([^/]+)/aliases/([^/]+)$")
FUNCTION = re.compile(r"^/2015-03-31/functions/([^/]+)$")


@dataclass
class _Shift:
    """An alias that still serves its previous version until the new one's environments are ready."""

    previous: str
    until: float


class Provisioning:
    """Middleware that delays Lambda's provisioned concurrency. `SECONDS` is how long environments take."""

    SECONDS = 2.0

    def __init__(self, app: App) -> None:
        self.app = app
        self.configs: dict[str, dict[str, tuple[dict[str, Any], float]]] = {}
        self.shifts: dict[tuple[str, str], _Shift] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and change responses that depend on time."""
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if scope["type"] == "http" and (match := CONFIG.match(path)):
            await (await self._config(scope, receive, *named_function(match[1], scope))).send(send)
        elif scope["type"] == "http" and (match := ALIAS.match(path)):
            await (await self._alias(scope, receive, named_function(match[1], scope)[0], unquote(match[2]))).send(send)
        else:
            if scope["type"] == "http" and scope["method"] == "DELETE" and (match := FUNCTION.match(path)):
                name, qualifier = named_function(match[1], scope)
                self.configs.get(name, {}).pop(qualifier, None) if qualifier else self.configs.pop(name, None)
            await self.app(scope, receive, send)

    async def _config(self, scope: Scope, receive: Receive, name: str, qualifier: str) -> Response:
        if scope["method"] == "GET" and b"List=ALL" in scope["query_string"]:
            return json_response(200, {"ProvisionedConcurrencyConfigs": [
                {"FunctionArn": f"arn:aws:lambda:::function:{name}:{key}", **self._current(config)}
                for key, config in self.configs.get(name, {}).items()
            ]})  # fmt: skip
        response = await call_app(self.app, scope, receive)
        configs = self.configs.setdefault(name, {})
        if scope["method"] == "PUT" and response.status < 300:
            configs[qualifier] = (json.loads(response.body), time.monotonic() + self.SECONDS)
        elif scope["method"] == "DELETE" and response.status < 300:
            configs.pop(qualifier, None)
        elif response.status >= 300 or qualifier not in configs:
            return response
        return (
            response
            if scope["method"] == "DELETE"
            else json_response(response.status, self._current(configs[qualifier]))
        )

    def _current(self, config: tuple[dict[str, Any], float]) -> dict[str, Any]:
        response, ready = config
        if time.monotonic() >= ready:
            return response
        pending = {"AvailableProvisionedConcurrentExecutions": 0, "AllocatedProvisionedConcurrentExecutions": 0}
        return response | pending | {"Status": "IN_PROGRESS"}

    async def _alias(self, scope: Scope, receive: Receive, name: str, alias: str) -> Response:
        body = await read(receive)
        provisioned = scope["method"] == "PUT" and alias in self.configs.get(name, {})
        before = await subrequest(self.app, scope, receive, "GET", scope["raw_path"].decode()) if provisioned else None
        response = await call_app(self.app, scope, replay(body, receive))
        if scope["method"] == "DELETE":
            self.configs.get(name, {}).pop(alias, None)
        if response.status >= 300 or scope["method"] not in ("GET", "PUT"):
            return response
        description = json.loads(response.body)
        if scope["method"] == "PUT":
            self.shifts.pop((name, alias), None)
            previous = json.loads(before.body).get("FunctionVersion") if before and before.status == 200 else None
            if previous and previous != description["FunctionVersion"]:
                self.shifts[name, alias] = _Shift(previous, time.monotonic() + self.SECONDS)
        shift = self.shifts.get((name, alias))
        if shift and time.monotonic() < shift.until:
            description["RoutingConfig"] = {"AdditionalVersionWeights": {shift.previous: 1.0}}
            return json_response(response.status, description)
        return response


def named_function(function: str, scope: Scope) -> tuple[str, str]:
    """Return a function's name, and the request's qualifier or an empty string."""
    match = LAMBDA_NAME.match(unquote(function))
    query = parse_qs(scope["query_string"].decode()).get("Qualifier", [""])[0]
    return (match["name"], query or match["qualifier"] or "") if match else (function, query)
