"""What MiniStack does otherwise than AWS and clients run into, handled in front of it, one class for each fault."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import unquote

from sandbox.emulator_server.asgi import (
    App,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    ask,
    document,
    header,
    read,
    replayed,
    whole,
)

logger = logging.getLogger("sandbox.faults")
# What the log says of each; whoever counts them looks for these words.
REPEATED = "repeated a GET whose container was being removed"
ANSWERED_AGAIN = "answered a request again that had been answered"
LOGGED = (REPEATED, ANSWERED_AGAIN)


def handled(app: App) -> App:
    """Return the application without the faults."""
    return AnsweredOnce(Authorizers(RouteSettings(DyingContainers(app))))


class Authorizers:
    """An authorizer is described by what its type has. MiniStack gives each type the other's attributes as well."""

    PATH = re.compile(r"^/v2/apis/[^/]+/authorizers/[^/]+$")
    NOT_ITS = {"JWT": ("authorizerPayloadFormatVersion",), "REQUEST": ("jwtConfiguration",)}  # noqa: RUF012 - constant

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GetAuthorizer with an authorizer's own attributes; hand everything else on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not self.PATH.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        described = await ask(self.app, scope, receive, "GET", scope["path"])
        if described.status == 200:
            authorizer = json.loads(described.body)
            for name in self.NOT_ITS.get(authorizer.get("authorizerType"), ()):
                authorizer.pop(name, None)
            described = document(200, authorizer)
        await described.send(send)


class RouteSettings:
    """DeleteRouteSettings deletes a route's settings. MiniStack takes the request for DeleteStage, and the stage is gone."""

    PATH = re.compile(r"^(/v2/apis/[^/]+/stages/[^/]+)/routesettings/([^/]+)$")

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer DeleteRouteSettings by means of GetStage and UpdateStage; hand everything else on."""
        # A route key has a slash of its own, so the path is matched before it is decoded.
        found = scope["type"] == "http" and self.PATH.match(scope.get("raw_path", b"").decode("latin-1"))
        if not found or scope["method"] != "DELETE":
            await self.app(scope, receive, send)
            return
        await read(receive)
        response = await self._delete(scope, receive, stage=found[1], route=unquote(found[2]))
        await response.send(send)

    async def _delete(self, scope: Scope, receive: Receive, stage: str, route: str) -> Response:
        known = await ask(self.app, scope, receive, "GET", stage)
        if known.status != 200:
            return known
        settings = json.loads(known.body).get("routeSettings", {})
        if route not in settings:
            problem = {"message": f"The stage has no settings of the route {route}"}
            return document(404, problem, x_amzn_errortype="NotFoundException")
        del settings[route]
        change = json.dumps({"routeSettings": settings}).encode()
        updated = await ask(self.app, scope, receive, "PATCH", stage, change)
        return updated if updated.status != 200 else whole(204, {}, b"")


class DyingContainers:
    """A published version's containers outlive a change of $LATEST on AWS. MiniStack removes them, busy ones too.

    A request whose container goes gets 502: its response is there, but reading the log fails, or the container cannot be reached
    any more. A GET is sent once more then, to a new container.
    """

    # While it goes, and when it has gone.
    SYMPTOMS = (b"can not get logs from container which is dead", b"No such container")
    # A function that ends by itself says the same: it counts only where a function was changed meanwhile.
    ALSO_OF_A_CRASH = b"Lambda RIE failed"
    CHANGE = re.compile(r"^/2015-03-31/functions/[^/]+/(code|configuration)$")

    def __init__(self, app: App) -> None:
        self.app = app
        self.changing = 0
        self.changed = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on; once more if it is a GET and this is what has become of it."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._watched(scope, receive, send)
            return
        begin = time.monotonic()
        body = await read(receive)
        failed = Response()

        async def hold_back(message: Message) -> None:
            if failed.messages or message.get("status") == 502:
                failed.messages.append(message)
            else:
                await send(message)

        await self.app(scope, replayed(body, receive), hold_back)
        changed = self.changing > 0 or self.changed >= begin
        gone = any(symptom in failed.body for symptom in self.SYMPTOMS)
        if gone or (changed and self.ALSO_OF_A_CRASH in failed.body):
            logger.warning("%s: %s", REPEATED, scope["path"])
            await self.app(scope, replayed(body, receive), send)
        else:
            await failed.send(send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and remember when a function was changed."""
        if scope["type"] != "http" or not self.CHANGE.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        self.changing += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.changing -= 1
            self.changed = time.monotonic()


@dataclass
class _Call:
    """A call of an AWS API, under way until `made` is set. `response` is None then if the call failed."""

    begin: float
    made: asyncio.Event = field(default_factory=asyncio.Event)
    response: Response | None = None


class AnsweredOnce:
    """A call of the AWS provider that succeeded is made once, however often its request is sent.

    Its HTTP client now and then (once in a thousand requests) closes a connection on which it was answered, and sends the same
    request again; what that creates then exists. A request with the invocation id of a call that succeeded gets that call's
    response. A call that failed is made again: the SDK's retries have the same id. Calls of the service are left alone: what it
    does when a response is lost is its own to get right.
    """

    CLIENT = b"terraform-provider-aws/"
    SECONDS = 60
    CALLS = 1000
    BODY_BYTES = 100_000

    def __init__(self, app: App) -> None:
        self.app = app
        self.calls: OrderedDict[tuple[bytes, ...], _Call] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a call, or answer it with the response of the same one, under way or made."""
        invocation = header(scope, b"amz-sdk-invocation-id") if self._repeats(scope) else b""
        if not invocation:
            await self.app(scope, receive, send)
            return
        key = (invocation, scope["method"].encode(), scope["raw_path"], scope["query_string"])
        while call := self.calls.get(key):
            await call.made.wait()
            if call.response is not None:
                operation = header(scope, b"x-amz-target").decode("latin-1") or scope["path"]
                attempt = header(scope, b"amz-sdk-request").decode("latin-1")
                logger.warning("%s: %s %s, %s", ANSWERED_AGAIN, scope["method"], operation, attempt)
                await read(receive)
                await call.response.send(send)
                return
        self._forget()
        self.calls[key] = _Call(time.monotonic())
        await self._make(key, scope, receive, send)

    def _repeats(self, scope: Scope) -> bool:
        mutates = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD")
        return mutates and self.CLIENT in header(scope, b"user-agent")

    async def _make(self, key: tuple[bytes, ...], scope: Scope, receive: Receive, send: Send) -> None:
        response = Response()
        kept = 0

        async def keep(message: Message) -> None:
            nonlocal kept
            kept += len(message.get("body", b""))
            if kept <= self.BODY_BYTES:
                response.messages.append(message)
            await send(message)

        call = self.calls[key]
        try:
            await self.app(scope, receive, keep)
        finally:
            if response.complete and 200 <= response.status < 300:
                call.response = response
            else:
                del self.calls[key]
            call.made.set()

    def _forget(self) -> None:
        """Forget what was made long ago, and the oldest where there are too many."""
        now = time.monotonic()
        for key, call in list(self.calls.items()):
            if now - call.begin < self.SECONDS and len(self.calls) < self.CALLS:
                break
            if call.made.is_set():
                del self.calls[key]
