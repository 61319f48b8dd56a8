"""ASGI by hand: requests that are read and sent again, responses that are held back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass
class Response:
    """A whole response; `messages` are what was sent, to be sent again."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Its status; 0 when the application sent none."""
        return next((m["status"] for m in self.messages if m["type"] == "http.response.start"), 0)

    @property
    def body(self) -> bytes:
        """Its whole body."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")

    @property
    def complete(self) -> bool:
        """Whether its last message is there."""
        last = self.messages[-1] if self.messages else {}
        return last.get("type") == "http.response.body" and not last.get("more_body", False)

    async def send(self, send: Send) -> None:
        """Send it."""
        for message in self.messages:
            await send(dict(message))


def header(scope: Scope, name: bytes) -> bytes:
    """Return a request's header, empty when it has none."""
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


async def read(receive: Receive) -> bytes:
    """Return a request's whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read, then what else the client sends."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


async def ask(app: App, scope: Scope, receive: Receive, method: str, path: str, body: bytes = b"") -> Response:
    """Send an application a request of our own, as the client of `scope` would, and return its response.

    `path` is percent-encoded.
    """
    headers: Headers = [(k, v) for k, v in scope["headers"] if k.lower() not in (b"content-length", b"content-type")]
    headers += [(b"content-length", str(len(body)).encode())]
    if body:
        headers += [(b"content-type", b"application/json")]
    own = {**scope, "method": method, "path": unquote(path), "raw_path": path.encode(), "headers": headers}
    return await held_back(app, own, replayed(body, receive))


async def held_back(app: App, scope: Scope, receive: Receive) -> Response:
    """Return an application's response to a request in place of sending it."""
    response = Response()

    async def keep(message: Message) -> None:
        response.messages.append(message)

    await app(scope, receive, keep)
    return response


def whole(status: int, headers: dict[str, str], body: bytes) -> Response:
    """Return a response of headers and a body."""
    pairs = [(key.encode(), value.encode("latin-1", "replace")) for key, value in headers.items()]
    pairs += [(b"content-length", str(len(body)).encode())] if body else []
    start: Message = {"type": "http.response.start", "status": status, "headers": pairs}
    return Response([start, {"type": "http.response.body", "body": body}])


def document(status: int, value: Any, **headers: str) -> Response:
    """Return a response whose body is a value's JSON; headers have _ for -."""
    named = {key.replace("_", "-"): header for key, header in headers.items()}
    return whole(status, {"content-type": "application/json"} | named, json.dumps(value).encode())
