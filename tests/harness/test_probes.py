"""Probes against a local HTTP server."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx2
import pytest

from harness import Probe, probe, wait_for_answer


class Server(ThreadingHTTPServer):
    """Responds with the statuses that a test sets, by default 200, and a text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.text = "hello"
        self.requests = 0
        self.requested = Event()
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
        self.server.requested.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        pass


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


def test_wait_for_answer_returns_the_first_good_response(server: Server) -> None:
    server.statuses = [503, 404]

    assert wait_for_answer(server.url, pause=0).text == "hello"
    assert server.requests == 3


def test_good_is_configurable(server: Server) -> None:
    server.statuses = [200, 503]

    assert wait_for_answer(server.url, good=lambda response: response.status_code == 503, pause=0).status_code == 503


def test_timeout_reports_the_last_response(server: Server) -> None:
    server.statuses = [503] * 1000

    with pytest.raises(AssertionError, match=r"returned no good response within 0\.1 s; last: 503 hello"):
        wait_for_answer(server.url, within=0.1, pause=0.01)


def test_timeout_reports_the_last_connection_error() -> None:
    with pytest.raises(AssertionError, match="within 0 s; last: ConnectError"):
        wait_for_answer(closed_port(), within=0)


def test_client_headers_are_sent(server: Server) -> None:
    response = wait_for_answer("/", client=lambda: httpx2.Client(base_url=server.url, headers={"x-name": "ada"}))

    assert response.text == "hello ada"


def test_probe_counts_requests_and_distinct_responses(server: Server) -> None:
    with probe(server.url, clients=3) as result:
        assert server.requested.wait(10)
        server.text = "goodbye"
        server.requested.clear()
        assert server.requested.wait(10)
        server.requested.clear()
        assert server.requested.wait(10)

    result.assert_none_failed(least=3)
    assert result.sent == server.requests
    assert result.answers == {"hello", "goodbye"}
    assert result.slowest > 0


def test_one_bad_response_fails_the_probe(server: Server) -> None:
    with probe(server.url, clients=2) as result:
        assert server.requested.wait(10)
        server.statuses = [502]
        while server.statuses:
            server.requested.clear()
            assert server.requested.wait(10)

    with pytest.raises(AssertionError, match=rf"1 of {result.sent} requests failed:\n502 hello"):
        result.assert_none_failed()


def test_refused_connection_is_a_failed_request() -> None:
    url = closed_port()
    with probe(url, clients=1) as result:
        while not result.sent:
            pass

    with pytest.raises(AssertionError, match="requests failed:\nConnectError"):
        result.assert_none_failed()


def test_probe_fails_with_fewer_requests_than_least() -> None:
    with pytest.raises(AssertionError, match="0 requests were sent, fewer than 1"):
        Probe().assert_none_failed()


def test_pause_follows_each_response_and_ends_with_the_block(server: Server) -> None:
    with probe(server.url, clients=2, pause=600) as result:
        while server.requests < 2:
            pass

    assert result.sent == server.requests == 2


def test_exception_in_the_block_ends_the_probe(server: Server) -> None:
    with pytest.raises(RuntimeError, match="apply failed"), probe(server.url):
        raise RuntimeError("apply failed")
    sent = server.requests

    wait_for_answer(server.url)
    assert server.requests == sent + 1
