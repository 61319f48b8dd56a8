"""HTTP checks: poll until a response is good, or send requests continuously during a change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

import httpx2

MAX_KEPT = 100
"""How many distinct response bodies, and how many failures, a probe keeps."""
PAUSE_AFTER_FAILURE = (
    0.05  # seconds; a connection refused at once would otherwise loop and starve the system under test
)


def successful(response: httpx2.Response) -> bool:
    """Whether the status is 2xx."""
    return response.is_success


def wait_for_answer(
    url: str,
    *,
    good: Callable[[httpx2.Response], bool] = successful,
    client: Callable[[], httpx2.Client] = httpx2.Client,
    within: float = 60.0,
    pause: float = 1.0,
) -> httpx2.Response:
    """Send GET requests until a response is good, and return that response.

    `client` creates the client, with headers, base URL or certificates as needed. `within` and `pause` are seconds.
    AssertionError with the last response or connection error when none was good in time.
    """
    deadline = time.monotonic() + within
    with client() as http:
        while True:
            try:
                response = http.get(url)
                if good(response):
                    return response
                last = _summary(response)
            except httpx2.HTTPError as error:
                last = repr(error)
            if time.monotonic() + pause > deadline:
                raise AssertionError(f"{url} returned no good response within {within:g} s; last: {last}")
            time.sleep(pause)


@dataclass
class Probe:
    """Results of the requests that `probe` sent.

    - `sent`: number of requests; `failures`: number of those without a good response.
    - `failed`: the failures as text; `answers`: the distinct response bodies. Each keeps the first MAX_KEPT.
    - `slowest`: the longest response time, in seconds.
    """

    sent: int = 0
    failures: int = 0
    failed: list[str] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)
    slowest: float = 0.0

    def assert_none_failed(self, *, least: int = 1) -> None:
        """Fail, with the first failures, when a request failed, and when fewer than `least` requests were sent."""
        if self.failures:
            raise AssertionError("\n".join([f"{self.failures} of {self.sent} requests failed:", *self.failed[:10]]))
        if self.sent < least:
            raise AssertionError(f"{self.sent} requests were sent, fewer than {least}: too few to prove anything")


@contextmanager
def probe(
    url: str,
    *,
    good: Callable[[httpx2.Response], bool] = successful,
    client: Callable[[], httpx2.Client] = httpx2.Client,
    clients: int = 4,
    pause: float = 0.0,
) -> Iterator[Probe]:
    """Send GET requests continuously until the block ends: for claims such as "a release fails no request".

        with probe(f"{endpoint}/healthz") as result:
            root.apply(release=2)
        result.assert_none_failed(least=100)

    `clients` threads send requests at the same time. Each has its own client, made by `client`, with keep-alive, and waits
    `pause` seconds after a response: without a pause they use all CPU. The counts are final once the block has ended.
    """
    total, lock, stop = Probe(), Lock(), Event()

    def send() -> None:
        with client() as http:
            while not stop.is_set():
                begin = time.monotonic()
                failure, text = None, None
                try:
                    response = http.get(url)
                    text = response.text
                    if not good(response):
                        failure = _summary(response)
                except httpx2.HTTPError as error:
                    failure = repr(error)
                with lock:
                    _count(total, time.monotonic() - begin, text, failure)
                if wait := max(pause, PAUSE_AFTER_FAILURE if failure else 0):
                    stop.wait(wait)

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(send) for _ in range(clients)]
        try:
            yield total
        finally:
            stop.set()
    for future in futures:
        future.result()


def _count(total: Probe, seconds: float, text: str | None, failure: str | None) -> None:
    total.sent += 1
    total.slowest = max(total.slowest, seconds)
    if text is not None and len(total.answers) < MAX_KEPT:
        total.answers.add(text)
    if failure:
        total.failures += 1
        if len(total.failed) < MAX_KEPT:
            total.failed.append(failure)


def _summary(response: httpx2.Response) -> str:
    return f"{response.status_code} {response.text[:200]}"
