"""A recording reverse proxy: forwards requests to an API, and records them without secrets."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from migration import redaction
from migration.client import Target, UnreachableError, joined
from migration.trace import PATH, READS, WRITES, RecordedRequest

# API Gateway's limit.
LARGEST_BODY = 10 * 1024 * 1024
SECONDS = 60.0  # longer than an API's gateway waits for its function
# Headers that the proxy writes itself, or that end at it.
OF_A_CONNECTION = redaction.OF_A_CONNECTION | {"proxy-authenticate", "proxy-authorization"}
Write = Callable[[RecordedRequest], None]
Say = Callable[[str], None]


class RecordingProxy(ThreadingHTTPServer):
    """The proxy, on this machine only. `write` is called with each request that the API responded to, one at a time."""

    daemon_threads = True

    def __init__(self, port: int, to: Target, write: Write, say: Say) -> None:
        self.to, self.say = to, say
        self._write = write
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's method
        """Say that a client went away; a traceback would tell no more."""
        self.say(f"a client's connection failed: {sys.exc_info()[1]}")

    def record(self, request: RecordedRequest) -> None:
        """Record a request."""
        with self._lock:
            self._write(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    server: RecordingProxy

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: paths may hold secrets."""

    def forward(self) -> None:
        """Forward the request, and record it once the API has responded."""
        try:
            body = self._body()
        except ValueError as error:
            self._refuse(400, str(error))
            return
        if not PATH.fullmatch(self.path):
            self._refuse(400, "the path has characters that a URL encodes")
            return
        try:
            response, content = self._forwarded(body)
        except (UnreachableError, OSError, http.client.HTTPException) as error:
            self.server.say(f"not recorded: {self.command} without a response: {error}")
            self._refuse(502, f"the API did not respond: {error}")
            return
        # First, so that a request that follows from the response is recorded after it.
        self.server.record(recorded(self.command, self.path, joined(self.headers), body, content))
        self._respond(response, content)

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the base class's names

    def _body(self) -> bytes:
        """Return the request's body. Raises ValueError if it is too large, or has no length."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self._chunks()
        return self.rfile.read(_length(self.headers.get("content-length") or "0", 10))

    def _chunks(self) -> bytes:
        body = b""
        while size := _length(self.rfile.readline(100).partition(b";")[0].decode(), 16, len(body)):
            body += self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return body

    def _forwarded(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        to = self.server.to
        # Ids are read from responses, which are not compressed without accept-encoding.
        dropped = OF_A_CONNECTION | {"accept-encoding"}
        sent = {name: value for name, value in joined(self.headers).items() if name not in dropped}
        connection = to.connection(SECONDS)
        try:
            content = body if body or self.command in WRITES else None
            connection.request(self.command, f"{to.path}{self.path}", content, {**sent, "host": to.netloc})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def _respond(self, response: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in OF_A_CONNECTION:
                self.send_header(name, value)
        # HEAD responds with the length that GET would have.
        if self.command == "HEAD" and (length := response.getheader("content-length")):
            self.send_header("content-length", length)
        elif response.status not in {204, 304}:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, status: int, reason: str) -> None:
        content = json.dumps({"message": f"recording proxy: {reason}"}).encode()
        self.close_connection = True
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _length(text: str, base: int, so_far: int = 0) -> int:
    """Return the length of a body or a chunk. Raises ValueError if it is none, or too large."""
    try:
        length = int(text, base)
    except ValueError as error:
        raise ValueError("the body has no valid length") from error
    if not 0 <= length <= LARGEST_BODY - so_far:
        raise ValueError(f"a body must have at most {LARGEST_BODY} bytes, as API Gateway allows")
    return length


def recorded(method: str, path: str, headers: Mapping[str, str], body: bytes, response: bytes) -> RecordedRequest:
    """Return a request as it is recorded: without secrets, and with the ids in the response of a write."""
    kept, removed = redaction.headers(headers)
    return RecordedRequest(
        method=method,
        path=redaction.path(path),
        headers=kept,
        body=redaction.body(body, kept.get("content-type", "")),
        removed=tuple(removed),
        ids={} if method in READS else ids(response),
    )


def ids(response: bytes) -> dict[str, str]:
    """Return the ids in a response's JSON, such as {"userId": "42"}: text and numbers whose name ends with "id", outside of lists."""
    try:
        value = json.loads(response)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    pending = [("", value)]
    while pending:
        prefix, item = pending.pop()
        for name, child in item.items() if isinstance(item, dict) else ():
            path = f"{prefix}.{name}" if prefix else name
            if isinstance(child, dict):
                pending.append((path, child))
            elif _is_id(name, child):
                found[path] = str(child)
    return found


def _is_id(name: str, value: Any) -> bool:
    if not isinstance(value, str | int) or isinstance(value, bool) or not name.lower().endswith("id"):
        return False
    return not redaction.is_secret_name(name) and not redaction.JWT.search(str(value))
