"""Stubs of Lambda's Runtime API, which serves events from a queue, and of DynamoDB, which has one user."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ITEM = {
    "pk": "user",
    "sk": "0" * 32,
    "id": "0" * 32,
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "created_at": "2026-01-01T00:00:00+00:00",
    "updated_at": "2026-01-01T00:00:00+00:00",
    "created_by": "bench",
    "updated_by": "bench",
}
FOUND = {"Item": {name: {"S": value} for name, value in ITEM.items()} | {"revision": {"N": "1"}}}


class _Silent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base's name
        pass

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class _DynamoDB(_Silent):
    def do_POST(self) -> None:
        self.body()
        self.reply(200, json.dumps(FOUND).encode(), {"Content-Type": "application/x-amz-json-1.0"})


class Runtime:
    """Context manager: both stubs."""

    def __init__(self) -> None:
        self._events: queue.Queue[bytes | None] = queue.Queue()
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._idle = threading.Semaphore(0)
        events, answers, idle = self._events, self._answers, self._idle

        class Api(_Silent):
            def do_GET(self) -> None:
                headers = {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": "bench",
                    "Lambda-Runtime-Deadline-Ms": "4102444800000",
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:000000000000:function:bench",
                }
                idle.release()
                if (event := events.get()) is None:
                    self.close_connection = True
                else:
                    self.reply(200, event, headers)

            def do_POST(self) -> None:
                answers.put(self.body())
                self.reply(202, b"{}", {})

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Api, _DynamoDB)]
        self.address, dynamodb = (f"127.0.0.1:{server.server_address[1]}" for server in self._servers)
        self.dynamodb = f"http://{dynamodb}"

    def __enter__(self) -> Self:
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def serve(self, event: dict[str, Any]) -> None:
        """Queue an event for the next process that polls."""
        self._events.put(json.dumps(event).encode())

    def dismiss(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process once it polls for its next event, so that it takes no event of another."""
        asks = self._idle.acquire(timeout=5)
        process.kill()
        process.communicate()
        if asks:
            self._events.put(None)

    def answer(self, seconds: float) -> bytes:
        """Return the next response, or the error that a function reports at its start. Raises queue.Empty after `seconds`."""
        answer = self._answers.get(timeout=seconds)
        self._idle.acquire()  # of the event that this is the response to
        return answer
