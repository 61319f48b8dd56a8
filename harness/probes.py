"""HTTP as a test asks it: until an answer is good, and again and again while something changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

import httpx2

MOST_KEPT = 100
"""How many different answers, and how many failures, a probe keeps in words."""
PAUSE_AFTER_FAILURE = 0.05  # seconds: who is refused at once must not take the machine from what is tested


def successful(answer: httpx2.Response) -> bool:
    """Whether the status is from 200 to 299."""
    return answer.is_success


def wait_for_answer(
    url: str,
    *,
    good: Callable[[httpx2.Response], bool] = successful,
    client: Callable[[], httpx2.Client] = httpx2.Client,
    within: float = 60.0,
    pause: float = 1.0,
) -> httpx2.Response:
    """Ask for a URL until the answer is good, and return it.

    `client` makes the client, with the headers, base URL or certificates that it takes. `within` and `pause` are seconds.
    AssertionError with the last answer, or the last failure to get one, when none was good in that time.
    """
    deadline = time.monotonic() + within
    with client() as http:
        while True:
            try:
                answer = http.get(url)
                if good(answer):
                    return answer
                last = _described(answer)
            except httpx2.HTTPError as error:
                last = repr(error)
            if time.monotonic() + pause > deadline:
                raise AssertionError(f"{url} gave no good answer within {within:g} s; the last: {last}")
            time.sleep(pause)


@dataclass
class Probe:
    """What came of requests that were sent again and again.

    - `sent`: how many; `failures`: how many of them had no good answer.
    - `failed`: those in words, and `answers`: the different texts of all answers; of each the first MOST_KEPT.
    - `slowest`: the longest time that an answer took, in seconds.
    """

    sent: int = 0
    failures: int = 0
    failed: list[str] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)
    slowest: float = 0.0

    def assert_none_failed(self, *, least: int = 1) -> None:
        """Fail, with the first failures, when a request had no good answer, and when fewer than `least` were sent at all."""
        if self.failures:
            raise AssertionError("\n".join([f"{self.failures} of {self.sent} requests failed:", *self.failed[:10]]))
        if self.sent < least:
            raise AssertionError(f"{self.sent} requests were sent, fewer than {least}: that none failed proves nothing")


@contextmanager
def probe(
    url: str,
    *,
    good: Callable[[httpx2.Response], bool] = successful,
    client: Callable[[], httpx2.Client] = httpx2.Client,
    clients: int = 4,
    pause: float = 0.0,
) -> Iterator[Probe]:
    """Ask for a URL again and again until the block ends, and count: for claims such as "a release fails no request".

        with probe(f"{endpoint}/healthz") as asked:
            root.apply(release=2)
        asked.assert_none_failed(least=100)

    `clients` ask at the same time, each with a client that `client` makes, which keeps its connection, and each waits for
    `pause` seconds after an answer: without one they take all that the machine has. The counts are whole once the block has ended.
    """
    total, lock, stop = Probe(), Lock(), Event()

    def ask() -> None:
        with client() as http:
            while not stop.is_set():
                begin = time.monotonic()
                failure, text = None, None
                try:
                    answer = http.get(url)
                    text = answer.text
                    if not good(answer):
                        failure = _described(answer)
                except httpx2.HTTPError as error:
                    failure = repr(error)
                with lock:
                    _count(total, time.monotonic() - begin, text, failure)
                if wait := max(pause, PAUSE_AFTER_FAILURE if failure else 0):
                    stop.wait(wait)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield total
        finally:
            stop.set()
    for one in asking:
        one.result()


def _count(total: Probe, seconds: float, text: str | None, failure: str | None) -> None:
    total.sent += 1
    total.slowest = max(total.slowest, seconds)
    if text is not None and len(total.answers) < MOST_KEPT:
        total.answers.add(text)
    if failure:
        total.failures += 1
        if len(total.failed) < MOST_KEPT:
            total.failed.append(failure)


def _described(answer: httpx2.Response) -> str:
    return f"{answer.status_code} {answer.text[:200]}"
