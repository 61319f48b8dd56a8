"""Provisioned concurrency takes time, and an alias that has it moves when the new version's is ready. The emulator does both at once.

It also lists what each function has, which the emulator cannot.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, ask, document, held_back, read, replayed
from sandbox.emulator_server.strict.refusals import LAMBDA_NAME

CONFIG = re.compile(r"^/2019-09-30/functions/([^/]+)/provisioned-concurrency$")
ALIAS = re.compile(r"^/2015-03-31/functions/([^/]+)/aliases/([^/]+)$")
FUNCTION = re.compile(r"^/2015-03-31/functions/([^/]+)$")


@dataclass
class _Shift:
    """An alias that goes on serving a version until the next one's environments are there."""

    served: str
    until: float


class Provisioning:
    """An application with Lambda's provisioned concurrency as AWS has it. `SECONDS` is how long environments take."""

    SECONDS = 2.0

    def __init__(self, app: App) -> None:
        self.app = app
        self.configs: dict[str, dict[str, tuple[dict[str, Any], float]]] = {}
        self.shifts: dict[tuple[str, str], _Shift] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and change the answer where time matters."""
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if scope["type"] == "http" and (found := CONFIG.match(path)):
            await (await self._config(scope, receive, *_named(found[1], scope))).send(send)
        elif scope["type"] == "http" and (found := ALIAS.match(path)):
            await (await self._alias(scope, receive, _named(found[1], scope)[0], unquote(found[2]))).send(send)
        else:
            if scope["type"] == "http" and scope["method"] == "DELETE" and (found := FUNCTION.match(path)):
                name, qualifier = _named(found[1], scope)
                self.configs.get(name, {}).pop(qualifier, None) if qualifier else self.configs.pop(name, None)
            await self.app(scope, receive, send)

    async def _config(self, scope: Scope, receive: Receive, name: str, qualifier: str) -> Response:
        if scope["method"] == "GET" and b"List=ALL" in scope["query_string"]:
            return document(200, {"ProvisionedConcurrencyConfigs": [
                {"FunctionArn": f"arn:aws:lambda:::function:{name}:{key}", **self._now(config)}
                for key, config in self.configs.get(name, {}).items()
            ]})  # fmt: skip
        response = await held_back(self.app, scope, receive)
        configs = self.configs.setdefault(name, {})
        if scope["method"] == "PUT" and response.status < 300:
            configs[qualifier] = (json.loads(response.body), time.monotonic() + self.SECONDS)
        elif scope["method"] == "DELETE" and response.status < 300:
            configs.pop(qualifier, None)
        elif response.status >= 300 or qualifier not in configs:
            return response
        return response if scope["method"] == "DELETE" else document(response.status, self._now(configs[qualifier]))

    def _now(self, config: tuple[dict[str, Any], float]) -> dict[str, Any]:
        described, ready = config
        if time.monotonic() >= ready:
            return described
        nothing_yet = {"AvailableProvisionedConcurrentExecutions": 0, "AllocatedProvisionedConcurrentExecutions": 0}
        return described | nothing_yet | {"Status": "IN_PROGRESS"}

    async def _alias(self, scope: Scope, receive: Receive, name: str, alias: str) -> Response:
        body = await read(receive)
        provisioned = scope["method"] == "PUT" and alias in self.configs.get(name, {})
        before = await ask(self.app, scope, receive, "GET", scope["raw_path"].decode()) if provisioned else None
        response = await held_back(self.app, scope, replayed(body, receive))
        if scope["method"] == "DELETE":
            self.configs.get(name, {}).pop(alias, None)
        if response.status >= 300 or scope["method"] not in ("GET", "PUT"):
            return response
        described = json.loads(response.body)
        if scope["method"] == "PUT":
            self.shifts.pop((name, alias), None)
            served = json.loads(before.body).get("FunctionVersion") if before and before.status == 200 else None
            if served and served != described["FunctionVersion"]:
                self.shifts[name, alias] = _Shift(served, time.monotonic() + self.SECONDS)
        shift = self.shifts.get((name, alias))
        if shift and time.monotonic() < shift.until:
            described["RoutingConfig"] = {"AdditionalVersionWeights": {shift.served: 1.0}}
            return document(response.status, described)
        return response


def _named(function: str, scope: Scope) -> tuple[str, str]:
    """Return the name of a function, and the qualifier that the request has."""
    found = LAMBDA_NAME.match(unquote(function))
    asked = parse_qs(scope["query_string"].decode()).get("Qualifier", [""])[0]
    return (found["name"], asked or found["qualifier"] or "") if found else (function, asked)
