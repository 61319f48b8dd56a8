"""A stand-in for Lambda's Runtime API, which runs AWS's runtime client in a container as SnapStart does, and prints what happened.

    docker exec --interactive CONTAINER python - < runtime_api.py

It answers the call after which Lambda takes and restores the snapshot, and sends one event. Nothing is restored here: only the
order of the calls is AWS's. https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ORDER = Path("/tmp/order")  # noqa: S108 - a container's own
HANDLER = """
from pathlib import Path

from service.aws_lambda import snap_start

def recorded(name, hook):
    def run():
        hook()
        with Path("/tmp/order").open("a") as order:
            order.write(name + "\\n")
    return run

for name in ("before_snapshot", "after_restore"):
    setattr(snap_start, name, recorded(name, getattr(snap_start, name)))

from service.aws_lambda.handler import handler
"""
PING = json.dumps({"ping": True}).encode()
responded = threading.Event()


class RuntimeApi(BaseHTTPRequestHandler):
    """Records each call, and sends one event."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer `restore/next` and `invocation/next`."""
        self._record()
        if self.path.endswith("/restore/next"):
            self._reply(200)
        elif not responded.is_set():
            deadline = int((time.time() + 10) * 1000)
            headers = {"Lambda-Runtime-Aws-Request-Id": "1", "Lambda-Runtime-Deadline-Ms": str(deadline)}
            headers |= {"Lambda-Runtime-Invoked-Function-Arn": "none", "Content-Type": "application/json"}
            self._reply(200, PING, headers)

    def do_POST(self) -> None:
        """Accept a response or an error."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._record(" " + body)
        responded.set()
        self._reply(202, b"{}")

    def log_message(self, *arguments: object) -> None:
        """Write nothing."""

    def _record(self, more: str = "") -> None:
        with ORDER.open("a") as order:
            order.write(f"{self.command} {self.path.partition('/runtime/')[2]}{more}\n")

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


Path("/tmp/recorded.py").write_text(HANDLER)  # noqa: S108 - a container's own
ORDER.write_text("")
server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = os.environ | {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
    "AWS_SECRET_ACCESS_KEY": "none",
    "PYTHONPATH": "/tmp",  # noqa: S108 - a container's own
}
client = subprocess.Popen(["/lambda-entrypoint.sh", "recorded.handler"], env=environment)
responded.wait(timeout=30)
client.kill()
sys.stdout.write(ORDER.read_text())
