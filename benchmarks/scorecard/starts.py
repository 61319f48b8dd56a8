"""How long the code of each side takes to start, alike for both: the same Python, the runtime client of Lambda's images, stubs of AWS.

A process is started and responds to its first request, a read by id. What is not in it: the platform's part of a cold start (a host, the
archive or the image), and Lambda's share of a CPU for the memory. The old function also verifies the token, with the issuer's keys from a
stub; for the new one API Gateway has done so. Both have bytecode, as pip's packages do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from benchmarks.runtime import Runtime
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.sides import Say
from benchmarks.service_speed import IDENTITY, PINS, READ, Application, Bench, compiled, install, service
from sandbox import paths
from sandbox.paths import ROOT

ROUNDS = 15
FUNCTION = "GetUser"
ISSUER = "https://issuer.example.com"
# Python and the runtime client without anything else: what is above it are the code's imports.
EMPTY = 'def handler(event, context):\n    return {"statusCode": 200}\n'
NAMES = ("old", "new", "empty")


def measure(say: Say, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return milliseconds from the start of a process to its first response, by side; `empty` is a handler without imports.

    Raises:
        ScorecardError: the packages cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="starts-") as name, Runtime() as runtime, _issuer() as (keys, token):
        folder = Path(name)
        try:
            bench, compared = Bench(runtime, folder), _applications(folder, keys)
        except subprocess.CalledProcessError as error:
            raise ScorecardError(
                f"the packages of both sides cannot be installed, so starts are not measured: {error}. Is the package index reachable?"
            ) from error
        event = READ["1.0"] | {"pathParameters": {"userId": IDENTITY}, "headers": {"authorization": f"Bearer {token}"}}
        times: dict[str, list[float]] = {name: [] for name in NAMES}
        for number in range(rounds + 1):
            for name, application in compared.items():
                run = bench.cold(application, event if application.payload == "1.0" else None)
                if number:  # the first brings the files into the page cache
                    times[name].append(run["seconds"] * 1000)
            say(f"start {number} of {rounds}")
    return times


def _applications(folder: Path, keys: str) -> dict[str, Application]:
    """Build a tree for each side, and an empty one."""
    old = folder / "old"
    source = ROOT / paths.LEGACY / "functions" / FUNCTION
    # boto3 comes with Lambda's runtime; the rest is what package.py packs.
    install(old, "--constraint", str(PINS), "boto3", "--requirement", str(source / "requirements.txt"))
    shutil.copytree(source, old, dirs_exist_ok=True)
    empty = folder / "empty"
    empty.mkdir()
    (empty / "empty.py").write_text(EMPTY)
    for tree in (old, empty):
        compiled(tree)
    environment = {"ISSUER": ISSUER, "KEYS_URL": keys}
    return {
        "old": Application("old", old, f"{FUNCTION}.handler", payload="1.0", environment=environment),
        "new": Application("new", service(folder), "service.aws_lambda.handler.handler", table=False),
        "empty": Application("empty", empty, "empty.handler"),
    }


@contextmanager
def _issuer() -> Iterator[tuple[str, str]]:
    """Serve the public keys of an issuer; yield their URL and a token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document: dict[str, Any] = {
        "keys": [RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "1", "use": "sig", "alg": "RS256"}]
    }
    body = json.dumps(document).encode()

    class Keys(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        token = jwt.encode({"sub": "bench", "iss": ISSUER}, key, algorithm="RS256", headers={"kid": "1"})
        yield f"http://127.0.0.1:{server.server_address[1]}/", token
    finally:
        server.shutdown()
        server.server_close()
