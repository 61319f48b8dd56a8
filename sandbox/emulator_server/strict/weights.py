"""An alias's weights: the share of requests that its additional version gets. The emulator stores them and sends all to the main version.

Direct invocations of the alias are rewritten to a version. For requests to an HTTP API there is a hidden copy of the API, whose
integrations invoke the additional version, and the share of the requests goes to the copy. So the function's event has the copy's
API id and host name then. The copy is hidden from GetApis. Requests through a custom domain all go to the main version.

The share is exact, not random as on AWS: with a weight of 0.1, every tenth request.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from sandbox.emulator_server.asgi import (
    App,
    Headers,
    Receive,
    Response,
    Scope,
    Send,
    call_app,
    header,
    json_response,
)
from sandbox.emulator_server.strict import requests
from sandbox.emulator_server.strict.lookups import Lookups
from sandbox.emulator_server.strict.preflight import API_HOST, REGION
from sandbox.emulator_server.strict.provisioning import named_function

ALIASES = re.compile(r"^/2015-03-31/functions/(?P<function>[^/]+)/aliases(?:/(?P<alias>[^/]+))?$")
FUNCTION = re.compile(r"^/2015-03-31/functions/(?P<function>[^/]+)$")
INVOCATIONS = re.compile(
    r"^/2015-03-31/functions/(?P<function>[^/]+)/(?P<kind>invocations|response-streaming-invocations)$"
)
APIS = "/v2/apis"

Alias = tuple[str, str]  # a function's name, and the alias's


@dataclass
class _Weight:
    """The additional version of an alias, its share, and what the requests so far have left of one."""

    version: str
    share: float
    credit: float = 0.0

    def drawn(self) -> bool:
        """Whether the next request goes to the additional version."""
        self.credit += self.share
        if self.credit < 1 - 1e-9:
            return False
        self.credit -= 1
        return True


@dataclass
class _Copy:
    """The hidden copy of an API. It is deleted when it is retired and no request uses it."""

    id: str
    alias: Alias
    active: int = 0
    retired: bool = False


class Weights:
    """Middleware that gives an alias's additional version its share of the requests."""

    def __init__(self, app: App, region: str = REGION) -> None:
        self.app = app
        self.region = region
        self.weights: dict[Alias, _Weight] = {}
        self.copies: dict[str, _Copy] = {}
        self.hidden: set[str] = set()
        self.copying = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the version whose turn it is; follow changes of aliases and APIs."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if self.weights or self.hidden:
            await self._weighted(scope, receive, send, path)
        elif scope["method"] in ("POST", "PUT") and ALIASES.match(path):
            await (await self._alias(scope, receive, path)).send(send)
        else:
            await self.app(scope, receive, send)

    async def _weighted(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Handle a request while an alias has weights, or had until a moment ago."""
        writes = scope["method"] not in ("GET", "HEAD")
        if requests.destination(scope) is None:
            await self._request(scope, receive, send)
        elif match := INVOCATIONS.match(path):
            await self.app(self._invocation(scope, match), receive, send)
        elif writes and (ALIASES.match(path) or FUNCTION.match(path)):
            await (await self._alias(scope, receive, path)).send(send)
        elif writes and path.startswith(APIS):
            response = await call_app(self.app, scope, receive)
            await self._follow(scope)
            await response.send(send)
        elif path == APIS and self.hidden:
            response = await call_app(self.app, scope, receive)
            if response.status == 200:
                listed = json.loads(response.body)
                listed["items"] = [api for api in listed["items"] if api["apiId"] not in self.hidden]
                response = json_response(200, listed)
            await response.send(send)
        else:
            await self.app(scope, receive, send)

    # --- Aliases ---

    async def _alias(self, scope: Scope, receive: Receive, path: str) -> Response:
        """Pass on a change of an alias or the deletion of a function, and remember the weights that result."""
        response = await call_app(self.app, scope, receive)
        match = ALIASES.match(path)
        if response.status >= 300:
            return response
        if match and scope["method"] in ("POST", "PUT"):
            alias = json.loads(response.body)
            key = named_function(match["function"], scope)[0], str(alias["Name"])
            weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
            self.weights.pop(key, None)
            for version, share in weights.items():
                self.weights[key] = _Weight(version, share)
        elif scope["method"] == "DELETE" and match:
            self.weights.pop((named_function(match["function"], scope)[0], unquote(match["alias"] or "")), None)
        elif scope["method"] == "DELETE" and (deleted := FUNCTION.match(path)):
            name, qualifier = named_function(deleted["function"], scope)
            self.weights = {key: weight for key, weight in self.weights.items() if key[0] != name or qualifier}
        await self._follow(scope)
        return response

    def _invocation(self, scope: Scope, match: re.Match[str]) -> Scope:
        """Return a direct invocation, with a version instead of an alias when it is the additional version's turn."""
        name, qualifier = named_function(match["function"], scope)
        weight = self.weights.get((name, qualifier))
        if weight is None or not weight.drawn():
            return scope
        path = f"/2015-03-31/functions/{name}/{match['kind']}"
        query = urlencode({"Qualifier": weight.version}).encode()
        return {**scope, "path": path, "raw_path": path.encode(), "query_string": query}

    # --- APIs ---

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to an API on, or to its copy when it is the additional version's turn."""
        host = header(scope, b"host").decode("latin-1")
        match = API_HOST.match(host)
        copy = self.copies.get(match["api"]) if match else None
        weight = self.weights.get(copy.alias) if copy else None
        if match is None or copy is None or weight is None or not weight.drawn():
            await self.app(scope, receive, send)
            return
        own = host.replace(match["api"], copy.id, 1).encode()
        headers: Headers = [(key, own if key.lower() == b"host" else value) for key, value in scope["headers"]]
        copy.active += 1
        try:
            await self.app({**scope, "headers": headers}, receive, send)
        finally:
            copy.active -= 1
            if copy.retired and not copy.active:
                await self._delete(scope, copy)

    async def _follow(self, scope: Scope) -> None:
        """Make the copies anew that the weights ask for, after a change of an alias or an API."""
        async with self.copying:
            retired, self.copies = list(self.copies.values()), {}
            lookup = Lookups(self.app, scope, self.region)
            apis = (await lookup("apigatewayv2.GetApis", {}) or {}).get("Items", []) if self.weights else []
            for api in apis:
                if api["ApiId"] not in self.hidden:
                    await self._copy(lookup, api)
            for copy in retired:
                copy.retired = True
                if not copy.active:
                    await self._delete(scope, copy)

    async def _copy(self, lookup: Lookups, api: dict[str, Any]) -> None:
        """Copy an API whose integrations invoke an alias with weights."""
        own = {"ApiId": api["ApiId"]}
        integrations = (await lookup("apigatewayv2.GetIntegrations", own) or {}).get("Items", [])
        uris = {item["IntegrationId"]: self._weighted_uri(item.get("IntegrationUri", "")) for item in integrations}
        alias = next((found[0] for found in uris.values() if found), None)
        if alias is None:
            return
        fields = ("ProtocolType", "CorsConfiguration", "DisableExecuteApiEndpoint", "RouteSelectionExpression")
        created = await _create(lookup, "Api", {"Name": f"copy of {api['ApiId']}", **_only(api, fields)})
        copy = {"ApiId": created["ApiId"]}
        self.hidden.add(created["ApiId"])
        ids: dict[str, str] = {}
        for item in (await lookup("apigatewayv2.GetAuthorizers", own) or {}).get("Items", []):
            ids[item["AuthorizerId"]] = (await _create(lookup, "Authorizer", copy | item))["AuthorizerId"]
        for item in integrations:
            found = uris[item["IntegrationId"]]
            uri = {"IntegrationUri": found[1]} if found else {}
            ids[item["IntegrationId"]] = (await _create(lookup, "Integration", copy | item | uri))["IntegrationId"]
        for item in (await lookup("apigatewayv2.GetRoutes", own) or {}).get("Items", []):
            target = item.get("Target", "").removeprefix("integrations/")
            refers = {"Target": f"integrations/{ids[target]}"} if target in ids else {}
            refers |= {"AuthorizerId": ids[item["AuthorizerId"]]} if item.get("AuthorizerId") in ids else {}
            await _create(lookup, "Route", copy | item | refers)
        for item in (await lookup("apigatewayv2.GetStages", own) or {}).get("Items", []):
            await _create(lookup, "Stage", copy | {k: v for k, v in item.items() if k != "DeploymentId"})
        self.copies[api["ApiId"]] = _Copy(created["ApiId"], alias)

    def _weighted_uri(self, uri: str) -> tuple[Alias, str] | None:
        """Return the weighted alias that an integration invokes, and its URI with the additional version instead."""
        for (name, alias), weight in self.weights.items():
            changed, count = re.subn(
                rf"(:function:{re.escape(name)}:){re.escape(alias)}(?=/|$)", rf"\g<1>{weight.version}", uri
            )
            if count:
                return (name, alias), changed
        return None

    async def _delete(self, scope: Scope, copy: _Copy) -> None:
        await Lookups(self.app, scope, self.region)("apigatewayv2.DeleteApi", {"ApiId": copy.id})
        self.hidden.discard(copy.id)


def _only(item: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: item[name] for name in names if name in item}


async def _create(lookup: Lookups, kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """Create a resource with the attributes of another one that the operation takes."""
    operation = requests.model("apigatewayv2").operation_model(f"Create{kind}")
    shape: Any = operation.input_shape
    created = await lookup(f"apigatewayv2.Create{kind}", _only(item, tuple(shape.members)))
    if created is None:
        raise ValueError(f"Create{kind} failed for the copy of an API: {item}")
    return dict(created)
