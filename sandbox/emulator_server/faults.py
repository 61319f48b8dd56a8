"""Fixes for MiniStack's faults that clients run into, one ASGI middleware per fault."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from sandbox.emulator_server.asgi import (
    App,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    call_app,
    header,
    json_response,
    make_response,
    read,
    replay,
    subrequest,
)

logger = logging.getLogger("sandbox.faults")
# Log messages; Emulator.handled_faults counts them.
RETRIED = "retried a GET whose container was removed"
REPLAYED = "replayed the response to a repeated request"
WAITED = "a change of a function waited for requests in progress"
LOGGED = (RETRIED, REPLAYED, WAITED)


def handled(app: App) -> App:
    """Return the application with the faults fixed, except repeated calls, which concern what is in front of it as well."""
    return Authorizers(RouteSettings(RemovedContainers(app)))


class Authorizers:
    """GetAuthorizer returns only the attributes of the authorizer's type. MiniStack returns the other type's too."""

    PATH = re.compile(r"^/v2/apis/[^/]+/authorizers/[^/]+$")
    OTHER_TYPES = {"JWT": ("authorizerPayloadFormatVersion",), "REQUEST": ("jwtConfiguration",)}  # noqa: RUF012 - constant

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle GetAuthorizer; pass everything else on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not self.PATH.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        response = await subrequest(self.app, scope, receive, "GET", scope["path"])
        if response.status == 200:
            authorizer = json.loads(response.body)
            for name in self.OTHER_TYPES.get(authorizer.get("authorizerType"), ()):
                authorizer.pop(name, None)
            response = json_response(200, authorizer)
        await response.send(send)


class RouteSettings:
    """DeleteRouteSettings deletes one route's settings. MiniStack treats the request as DeleteStage and deletes the stage."""

    PATH = re.compile(r"^(/v2/apis/[^/]+/stages/[^/]+)/routesettings/([^/]+)$")

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement DeleteRouteSettings by GetStage and UpdateStage; pass everything else on."""
        # A route key contains a slash, so the path is matched before it is decoded.
        match = scope["type"] == "http" and self.PATH.match(scope.get("raw_path", b"").decode("latin-1"))
        if not match or scope["method"] != "DELETE":
            await self.app(scope, receive, send)
            return
        await read(receive)
        response = await self._delete(scope, receive, stage=match[1], route=unquote(match[2]))
        await response.send(send)

    async def _delete(self, scope: Scope, receive: Receive, stage: str, route: str) -> Response:
        current = await subrequest(self.app, scope, receive, "GET", stage)
        if current.status != 200:
            return current
        settings = json.loads(current.body).get("routeSettings", {})
        if route not in settings:
            error = {"message": f"The stage has no settings of the route {route}"}
            return json_response(404, error, x_amzn_errortype="NotFoundException")
        del settings[route]
        change = json.dumps({"routeSettings": settings}).encode()
        updated = await subrequest(self.app, scope, receive, "PATCH", stage, change)
        return updated if updated.status != 200 else make_response(204, {}, b"")


class RemovedContainers:
    """On AWS, a published version's containers survive a change to $LATEST. MiniStack removes them, even busy ones.

    The request then gets 502, because reading the container's log fails or the container is gone. So a change waits for requests
    to APIs that are in progress, and those that arrive meanwhile wait for the change. Where that does not help, such as under a
    custom domain, a GET is retried once, in a new container.
    """

    # During and after the removal.
    SYMPTOMS = (b"can not get logs from container which is dead", b"No such container")
    # A crashing function causes the same message, so it counts only if a function was changed meanwhile.
    ALSO_OF_A_CRASH = b"Lambda RIE failed"
    CHANGE = re.compile(r"^/2015-03-31/functions/[^/]+/(code|configuration)$")
    API_HOST = re.compile(rb"^[^.]+\.execute-api\.")
    # API Gateway's limit. A request that waits for another one to an API would otherwise wait for ever.
    LONGEST_WAIT_SECONDS = 30.0

    def __init__(self, app: App) -> None:
        self.app = app
        self.changing = 0
        self.changed = float("-inf")
        self.serving = 0
        self.turn = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, apart from changes of functions; retry a GET whose container was removed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self.API_HOST.match(header(scope, b"host")):
            await self._request(scope, receive, send)
        elif scope["method"] != "GET" and self.CHANGE.match(scope["path"]):
            await self._change(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; retry a GET whose container was removed."""
        if scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        begin = time.monotonic()
        body = await read(receive)
        failed = Response()

        async def capture_failure(message: Message) -> None:
            if failed.messages or message.get("status") == 502:
                failed.messages.append(message)
            else:
                await send(message)

        await self.app(scope, replay(body, receive), capture_failure)
        changed = self.changing > 0 or self.changed >= begin
        gone = any(symptom in failed.body for symptom in self.SYMPTOMS)
        if gone or (changed and self.ALSO_OF_A_CRASH in failed.body):
            logger.warning("%s: %s", RETRIED, scope["path"])
            await self.app(scope, replay(body, receive), send)
        else:
            await failed.send(send)

    async def _change(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a change of a function on when no request to an API is in progress, and record when it was."""
        self.changing += 1
        if self.serving:
            logger.warning("%s: %s", WAITED, scope["path"])
        try:
            await self._wait(lambda: not self.serving)
            await self.app(scope, receive, send)
        finally:
            self.changing -= 1
            self.changed = time.monotonic()
            await self._notify()

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to an API on when no function is being changed."""
        await self._wait(lambda: not self.changing)
        self.serving += 1
        try:
            await self._pass_on(scope, receive, send)
        finally:
            self.serving -= 1
            await self._notify()

    async def _wait(self, condition: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.LONGEST_WAIT_SECONDS), self.turn:
                await self.turn.wait_for(condition)

    async def _notify(self) -> None:
        async with self.turn:
            self.turn.notify_all()


@dataclass
class _Call:
    """An AWS API call, pending until `done` is set. `response` stays None if it failed."""

    begin: float
    done: asyncio.Event = field(default_factory=asyncio.Event)
    response: Response | None = None


class RepeatedCalls:
    """A successful call of the AWS provider is executed once, even if its request is sent again.

    About once in a thousand requests, the provider's HTTP client closes the connection after the response and sends the same
    request again; a create then fails, as the resource exists. A request with the invocation id of a successful call gets that
    call's response. A failed call is executed again, since the SDK's retries have the same id. Calls of the service are passed
    on: handling lost responses is its own job.
    """

    CLIENT = b"terraform-provider-aws/"
    SECONDS = 60
    CALLS = 1000
    BODY_BYTES = 100_000

    def __init__(self, app: App) -> None:
        self.app = app
        self.calls: OrderedDict[tuple[bytes, ...], _Call] = OrderedDict()
        self.executions: set[asyncio.Task[Response]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Execute a call, or replay the response of the same call."""
        invocation = header(scope, b"amz-sdk-invocation-id") if self._applies(scope) else b""
        if not invocation:
            await self.app(scope, receive, send)
            return
        key = (invocation, scope["method"].encode(), scope["raw_path"], scope["query_string"])
        while call := self.calls.get(key):
            await call.done.wait()
            if call.response is not None:
                operation = header(scope, b"x-amz-target").decode("latin-1") or scope["path"]
                attempt = header(scope, b"amz-sdk-request").decode("latin-1")
                logger.warning("%s: %s %s, %s", REPLAYED, scope["method"], operation, attempt)
                await read(receive)
                await call.response.send(send)
                return
        self._evict()
        self.calls[key] = _Call(time.monotonic())
        # The call goes on if the client closes the connection, or a repeated request would find it half done.
        execution = asyncio.create_task(self._execute(key, scope, replay(await read(receive), receive)))
        self.executions.add(execution)
        execution.add_done_callback(self.executions.discard)
        response = await asyncio.shield(execution)
        await response.send(send)

    def _applies(self, scope: Scope) -> bool:
        mutates = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD")
        return mutates and self.CLIENT in header(scope, b"user-agent")

    async def _execute(self, key: tuple[bytes, ...], scope: Scope, receive: Receive) -> Response:
        call, response = self.calls[key], Response()
        try:
            response = await call_app(self.app, scope, receive)
        finally:
            if response.complete and 200 <= response.status < 300 and len(response.body) <= self.BODY_BYTES:
                call.response = response
            else:
                del self.calls[key]
            call.done.set()
        return response

    def _evict(self) -> None:
        """Drop expired calls, and the oldest ones above the limit."""
        now = time.monotonic()
        for key, call in list(self.calls.items()):
            if now - call.begin < self.SECONDS and len(self.calls) < self.CALLS:
                break
            if call.done.is_set():
                del self.calls[key]
