"""HTTP asked of a server of the tests' own, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx2
import pytest

from harness import Probe, probe, wait_for_answer


class Server(ThreadingHTTPServer):
    """Answers what the test says: a status, by default 200, and a text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.text = "hello"
        self.requests = 0
        self.asked = Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.requests += 1
        body = f"{self.server.text} {self.headers.get('x-name', '')}".strip().encode()
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.asked.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def closed_port() -> str:
    with Server() as gone:
        return gone.url


def test_waits_for_a_good_answer_and_returns_it(server: Server) -> None:
    server.statuses = [503, 404]

    assert wait_for_answer(server.url, pause=0).text == "hello"
    assert server.requests == 3


def test_what_is_good_is_for_the_caller_to_say(server: Server) -> None:
    server.statuses = [200, 503]

    assert wait_for_answer(server.url, good=lambda answer: answer.status_code == 503, pause=0).status_code == 503


def test_tells_the_last_answer_when_none_was_good_in_time(server: Server) -> None:
    server.statuses = [503] * 1000

    with pytest.raises(AssertionError, match=r"gave no good answer within 0\.1 s; the last: 503 hello"):
        wait_for_answer(server.url, within=0.1, pause=0.01)


def test_tells_the_last_failure_when_nothing_answered() -> None:
    with pytest.raises(AssertionError, match="within 0 s; the last: ConnectError"):
        wait_for_answer(closed_port(), within=0)


def test_asks_with_the_clients_own_headers(server: Server) -> None:
    answer = wait_for_answer("/", client=lambda: httpx2.Client(base_url=server.url, headers={"x-name": "ada"}))

    assert answer.text == "hello ada"


def test_a_probe_counts_every_request_and_every_kind_of_answer(server: Server) -> None:
    with probe(server.url, clients=3) as asked:
        assert server.asked.wait(10)
        server.text = "goodbye"
        server.asked.clear()
        assert server.asked.wait(10)
        server.asked.clear()
        assert server.asked.wait(10)

    asked.assert_none_failed(least=3)
    assert asked.sent == server.requests
    assert asked.answers == {"hello", "goodbye"}
    assert asked.slowest > 0


def test_one_bad_answer_among_good_ones_fails_the_probe(server: Server) -> None:
    with probe(server.url, clients=2) as asked:
        assert server.asked.wait(10)
        server.statuses = [502]
        while server.statuses:
            server.asked.clear()
            assert server.asked.wait(10)

    with pytest.raises(AssertionError, match=rf"1 of {asked.sent} requests failed:\n502 hello"):
        asked.assert_none_failed()


def test_a_refused_connection_is_a_failed_request() -> None:
    url = closed_port()
    with probe(url, clients=1) as asked:
        while not asked.sent:
            pass

    with pytest.raises(AssertionError, match="requests failed:\nConnectError"):
        asked.assert_none_failed()


def test_a_probe_that_asked_too_little_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="0 requests were sent, fewer than 1"):
        Probe().assert_none_failed()


def test_a_pause_is_kept_after_each_answer_and_ends_with_the_block(server: Server) -> None:
    with probe(server.url, clients=2, pause=600) as asked:
        while server.requests < 2:
            pass

    assert asked.sent == server.requests == 2


def test_a_failure_in_the_block_ends_the_probe_too(server: Server) -> None:
    with pytest.raises(RuntimeError, match="apply failed"), probe(server.url):
        raise RuntimeError("apply failed")
    asked = server.requests

    wait_for_answer(server.url)
    assert server.requests == asked + 1
