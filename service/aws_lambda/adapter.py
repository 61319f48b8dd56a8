"""API Gateway's events to ASGI and back: Mangum, by a shorter way for a request that waits for nothing, as all here do.

What Mangum makes for each request (a queue, a buffer, the scope twice) and the turns of its event loop take longer than FastAPI
needs to answer. What an event means and how an answer looks is Mangum's own, and its tests pass here as well.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from functools import cached_property
from typing import Any

from mangum import Mangum
from mangum.exceptions import UnexpectedMessage
from mangum.handlers import ALB, HTTPGateway
from mangum.types import ASGI, LambdaConfig, LambdaContext, LambdaEvent, Message, Response, Scope

logger = logging.getLogger("mangum.http")
PLAIN_TEXT = [[b"content-type", b"text/plain; charset=utf-8"]]


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop that need not turn for what never waits."""

    _caught: list[tuple[Context | None, Callable[..., object]]] | None = None

    def complete(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do as `run_until_complete` does, but take the first step, which is all of a coroutine that never waits, before the loop turns.

        Raises RuntimeError where an event loop is running.
        """
        if asyncio._get_running_loop() is not None:
            coroutine.close()
            raise RuntimeError("An event loop is already running.")
        caught: list[Any] = []
        self._caught = caught
        try:
            task = self.create_task(coroutine)
        finally:
            self._caught = None
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._close)
        asyncio._set_running_loop(self)  # which is there for event loops
        try:
            for context, step in caught:
                context.run(step)
        finally:
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
        if not task.done():
            self.run_until_complete(task)
        task.result()

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        """Do so, unless it is the first step of a task that is completed: all that a new task asks for."""
        if self._caught is None:
            return super().call_soon(callback, *args, context=context)
        return self._caught.append((context, callback))

    def _close(self, generator: AsyncGenerator[Any, Any]) -> None:
        # One that was left before its end, whose last steps may wait.
        self.call_soon_threadsafe(self.create_task, generator.aclose())


class _Cycle:
    """A request, and its answer as the application sends it: Mangum's `HTTPCycle`, without a queue that waits for what is there."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        self._scope = scope
        self._request: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._completed = asyncio.Event()

    def __call__(self, app: ASGI) -> Response:
        """Return the application's answer, once it has ended. Raises RuntimeError when it has not answered."""
        loop = asyncio.get_event_loop()
        complete = loop.complete if isinstance(loop, EventLoop) else loop.run_until_complete
        complete(self._run(app))
        if self._start is None or not self._completed.is_set():
            raise RuntimeError("The application has ended without an answer.")
        return {
            "status": self._start["status"],
            "headers": self._start.get("headers", []),
            "body": b"".join(self._body),
        }

    async def _run(self, app: ASGI) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        except BaseException:
            logger.exception("An error occurred running the application.")
            if not self._completed.is_set():
                self._start, self._body = None, []
                await self._send({"type": "http.response.start", "status": 500, "headers": PLAIN_TEXT})
                await self._send({"type": "http.response.body", "body": b"Internal Server Error"})

    async def _receive(self) -> Message:
        if self._request is not None:
            message, self._request = self._request, None
            return message
        await self._completed.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._start is None and kind == "http.response.start":
            self._start = message
        elif self._start is not None and not self._completed.is_set() and kind == "http.response.body":
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._completed.set()
                logger.info("%s %s %s", self._scope["method"], self._scope["path"], self._start["status"])
        else:
            raise UnexpectedMessage(f"Unexpected {kind}")


class _Gateway(HTTPGateway):
    """Mangum's, which asks for its scope a second time to finish the answer."""

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:
        """Return whether Mangum, which asks for load balancers first, would take its own."""
        return super().infer(event, context, config) and not ALB.infer(event, context, config)

    @cached_property
    def scope(self) -> Scope:
        """The request."""
        return super().scope


class Adapter(Mangum):
    """Mangum; without a lifespan, which it would run for every request, by the shorter way.

    Shortest where the thread's event loop is an `EventLoop`.
    """

    def __init__(self, app: ASGI, **options: Any) -> None:
        super().__init__(app, **options)
        self.custom_handlers = [*self.custom_handlers, _Gateway]

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        """Answer an event."""
        if self.lifespan != "off":
            return super().__call__(event, context)
        handler = self.infer(event, context)
        return handler(_Cycle(handler.scope, handler.body)(self.app))
