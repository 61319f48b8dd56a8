"""ASGI helpers: read and replay requests, capture and build responses."""

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
    """A captured response; `messages` are its ASGI messages."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status; 0 when the application sent none."""
        return next((m["status"] for m in self.messages if m["type"] == "http.response.start"), 0)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")

    @property
    def complete(self) -> bool:
        """Whether it ends with a final body message."""
        last = self.messages[-1] if self.messages else {}
        return last.get("type") == "http.response.body" and not last.get("more_body", False)

    async def send(self, send: Send) -> None:
        for message in self.messages:
            await send(dict(message))


def header(scope: Scope, name: bytes) -> bytes:
    """Return the value of a request's header, empty if absent."""
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


async def read(receive: Receive) -> bytes:
    """Return a request's whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns a body that was already read, then the client's further messages."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


async def subrequest(app: App, scope: Scope, receive: Receive, method: str, path: str, body: bytes = b"") -> Response:
    """Send the application another request on behalf of the client of `scope`, and return the response.

    `path` is percent-encoded.
    """
    headers: Headers = [(k, v) for k, v in scope["headers"] if k.lower() not in (b"content-length", b"content-type")]
    headers += [(b"content-length", str(len(body)).encode())]
    if body:
        headers += [(b"content-type", b"application/json")]
    own = {**scope, "method": method, "path": unquote(path), "raw_path": path.encode(), "headers": headers}
    return await call_app(app, own, replay(body, receive))


async def call_app(app: App, scope: Scope, receive: Receive) -> Response:
    """Call the application and return its response instead of sending it."""
    response = Response()

    async def capture(message: Message) -> None:
        response.messages.append(message)

    await app(scope, receive, capture)
    return response


def make_response(status: int, headers: dict[str, str], body: bytes) -> Response:
    """Return a response with headers and a body."""
    pairs = [(key.encode(), value.encode("latin-1", "replace")) for key, value in headers.items()]
    pairs += [(b"content-length", str(len(body)).encode())] if body else []
    start: Message = {"type": "http.response.start", "status": status, "headers": pairs}
    return Response([start, {"type": "http.response.body", "body": body}])


def json_response(status: int, value: Any, **headers: str) -> Response:
    """Return a response with a JSON body; underscores in header names become hyphens."""
    named = {key.replace("_", "-"): header for key, header in headers.items()}
    return make_response(status, {"content-type": "application/json"} | named, json.dumps(value).encode())
