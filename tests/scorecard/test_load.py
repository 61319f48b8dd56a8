"""The load and what it refuses, against a server of its own instead of the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.scorecard import deployed
from benchmarks.scorecard.deployed import Request, Sent, Side
from benchmarks.scorecard.errors import ScorecardError

IDS = {"users": ["1"], "customers": ["1"]}
GETS = [Request("get", "users", 0)] * 10


class Local(Side):
    """A side whose API is a server of the test."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=5, trust_env=False)


class Server(ThreadingHTTPServer):
    """Responds with a status and a body, once all of `together` have asked."""

    status, content = 200, b"{}"
    together: threading.Barrier | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.server.together:
                self.server.together.wait()
        except threading.BrokenBarrierError:
            self.send_error(504)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    do_GET = do_POST = respond  # noqa: N815 - http.server's names


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def side(server: Server) -> Side:
    return Local("new", f"http://127.0.0.1:{server.server_address[1]}")


def test_requests_do_not_wait_for_earlier_ones(side: Side, server: Server) -> None:
    # Nobody gets a response before all requests are there.
    server.together = threading.Barrier(len(GETS), timeout=30)
    sent = Sent()
    deployed.send(side, GETS, IDS, 50, sent)
    assert (len(sent.milliseconds), sent.failed) == (len(GETS), [])


def test_without_a_rate_each_request_waits_for_the_one_before(side: Side, server: Server) -> None:
    # Two that are there at once would pass the barrier; alone, each breaks it.
    server.together = threading.Barrier(2, timeout=0.05)
    sent = Sent()
    deployed.send(side, GETS[:3], IDS, None, sent)
    assert (sent.milliseconds, len(sent.failed)) == ([], 3)


def test_another_status_is_a_failure_with_path_and_body(side: Side, server: Server) -> None:
    server.status, server.content = 502, b"no environment"
    sent = Sent()
    deployed.send(side, GETS, IDS, 50, sent)
    assert sent == Sent([], ["GET /users/1: 502 no environment"] * len(GETS))


def test_no_response_is_a_failure() -> None:
    sent = Sent()
    deployed.send(Local("old", "http://127.0.0.1:1"), GETS, IDS, 50, sent)
    assert sent.milliseconds == []
    assert all(reason.startswith("GET /users/1: ConnectError") for reason in sent.failed)


def test_an_item_that_is_not_created_is_named(side: Side, server: Server) -> None:
    server.status, server.content = 403, b"forbidden"
    with side.client() as http, pytest.raises(ScorecardError, match=r"POST /users with 403: forbidden"):
        deployed.create(http, "new", "users", "ada")


@pytest.mark.parametrize(
    ("name", "resource", "content"),
    [
        ("old", "users", b'{"userId": "7"}'),
        ("old", "customers", b'{"customerId": "7"}'),
        ("new", "users", b'{"id": "7"}'),
    ],
)
def test_ids_are_read_in_each_sides_terms(side: Side, server: Server, name: str, resource: str, content: bytes) -> None:
    server.status, server.content = 201, content
    with side.client() as http:
        assert deployed.create(http, name, resource, "ada") == "7"


def test_archives_are_measured_one_by_one(tmp_path: Path) -> None:
    for name, size in (("a", 3), ("b", 5)):
        (tmp_path / f"build/{name}.zip").parent.mkdir(exist_ok=True)
        (tmp_path / f"build/{name}.zip").write_bytes(b"x" * size)
    assert deployed.zip_bytes(tmp_path) == [3, 5]
