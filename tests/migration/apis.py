"""Small APIs in threads, to compare and to record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """A response. A body that is not bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


App = Callable[[Call], Reply]


@dataclass(frozen=True)
class Api:
    """A running API, and the calls that it got."""

    url: str
    calls: list[Call]

    @property
    def seen(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.calls]


@contextmanager
def serve(app: App, port: int = 0) -> Iterator[Api]:
    """Serve an app on a port, or on a free one. An app that raises ConnectionError closes the connection without a response."""
    calls: list[Call] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            call = Call(self.command, self.path, {name.lower(): v for name, v in self.headers.items()}, body)
            calls.append(call)
            try:
                reply = app(call)
            except ConnectionError:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(reply.content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.content)

        do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Api(f"http://127.0.0.1:{server.server_port}", calls)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_requests(file: Path, *requests: str | dict[str, Any]) -> Path:
    """Write a file of requests, each as `GET /users` or as its fields."""
    lines = []
    for each in requests:
        if isinstance(each, str):
            method, path = each.split()
            each = {"method": method, "path": path}
        lines.append(json.dumps(each) + "\n")
    file.write_text("".join(lines))
    return file


class People:
    """An API of users: add, get, list, update and delete, with ids that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.users: dict[str, dict[str, Any]] = {}

    def __call__(self, call: Call) -> Reply:
        identity = call.path.partition("?")[0].removeprefix("/users").strip("/")
        if call.method == "POST":
            identity = f"{self.prefix}{len(self.users):08}"
            self.users[identity] = {"userId": identity, **json.loads(call.body)}
            return Reply(
                self.users[identity], 201, {"content-type": "application/json", "location": call.path + f"/{identity}"}
            )
        if not identity:
            return Reply({"users": list(self.users.values())})
        if identity not in self.users:
            return Reply({"message": "not found"}, 404)
        if call.method == "PUT":
            self.users[identity] |= json.loads(call.body)
        if call.method == "DELETE":
            return Reply(self.users.pop(identity))
        return Reply(self.users[identity])
