"""Sends recorded requests to the old and the new API, and compares each pair of responses."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from urllib.parse import quote

from migration import redaction
from migration.client import NoResponseError, Response, Target, UnreachableError
from migration.comparison import Outcome
from migration.difference import differences
from migration.journal import Journal
from migration.trace import RecordedRequest

# After so many connections in a row that failed, the API is taken to be gone. With writes after one, since later ones may need it.
FAILURES_IN_A_ROW = 5
# A shorter id could be a part of other text, in which it would be replaced too.
SHORTEST_ID = 6


@dataclass(frozen=True)
class Side:
    """One of the two APIs, with the headers that requests to it get."""

    name: str
    target: Target
    headers: Mapping[str, str]

    def send(self, request: RecordedRequest, timeout: float) -> Response:
        """Send a request. Raises UnreachableError and NoResponseError."""
        recorded = {name: each for name, each in request.headers.items() if name not in redaction.DROPPED_HEADERS}
        # A request that came without a token is sent without one.
        given = {
            name: each
            for name, each in self.headers.items()
            if request.removed is None or name in request.removed or not redaction.is_secret_header(name)
        }
        sent = {**recorded, **given}
        return self.target.send(request.method, request.path, sent, request.body, timeout, again=not request.writes)


class Captures:
    """Ids that writes created, by the id in the recording: old and new. They are replaced in later requests and in responses."""

    def __init__(self, known: Iterable[Mapping[str, tuple[str, str]]]) -> None:
        self._ids: dict[str, tuple[str, str]] = {}
        for each in known:
            self.add(each)

    def add(self, captured: Mapping[str, tuple[str, str]]) -> None:
        """Add ids."""
        self._ids |= captured
        to = [{recorded: pair[side] for recorded, pair in self._ids.items()} for side in (0, 1)]
        self._to = [_replacer(ids) for ids in to]
        self._to_path = [_replacer({recorded: quote(own, safe="") for recorded, own in ids.items()}) for ids in to]
        self._from = [
            _replacer({form: recorded for recorded, own in ids.items() for form in _forms(own)}) for ids in to
        ]

    def request(self, request: RecordedRequest, side: int) -> RecordedRequest:
        """Return a request with the ids of a side."""
        if not self._ids:
            return request
        to = self._to[side]
        return replace(request, path=self._to_path[side](request.path), body=_in_text(request.body, to))

    def response(self, response: Response, side: int) -> Response:
        """Return a response with the recording's ids, so that both sides' are the same."""
        if not self._ids:
            return response
        to = self._from[side]
        headers = {name: to(value) for name, value in response.headers.items()}
        return replace(response, headers=headers, body=_in_text(response.body, to))


def _forms(own: str) -> set[str]:
    """Return how an id is written: as it is, in JSON, and in a URL."""
    return {own, json.dumps(own)[1:-1], quote(own, safe="")}


def _replacer(ids: Mapping[str, str]) -> Callable[[str], str]:
    if not ids:
        return lambda text: text
    longest_first = sorted(ids, key=len, reverse=True)
    whole = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])")
    return lambda text: whole.sub(lambda found: ids[found[0]], text)


def _in_text(body: bytes, change: Callable[[str], str]) -> bytes:
    try:
        return change(body.decode()).encode()
    except UnicodeDecodeError:
        return body


class Replay:
    """Sends requests and adds each outcome to the journal. `stopped` says why it ended early, if it did."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        journal: Journal,
        route: Callable[[RecordedRequest], str],
        capture: Mapping[str, str],
        timeout: float,
        progress: Callable[[Outcome], None],
        *,
        writes: bool,
    ) -> None:
        self.stopped = ""
        self._sides = sides
        self._journal = journal
        self._route = route
        self._capture = capture
        self._timeout = timeout
        self._progress = progress
        self._captures = Captures(outcome.captured for outcome in journal.outcomes.values())
        self._failures = 0
        self._patience = 1 if writes else FAILURES_IN_A_ROW
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def run(self, requests: Iterable[RecordedRequest], clients: int) -> None:
        """Send the requests with so many clients, each of which sends one request at a time, to old and then to new."""
        waiting = iter(requests)
        with ThreadPoolExecutor(clients) as pool:
            try:
                for client in as_completed([pool.submit(self._work, waiting) for _ in range(clients)]):
                    client.result()
            finally:
                # After Ctrl-C, requests that were sent are still compared.
                self._stop.set()

    def _work(self, waiting: Iterator[RecordedRequest]) -> None:
        while not self._stop.is_set():
            with self._lock:
                request = next(waiting, None)
            if request is None:
                return
            if request.writes:
                self._journal.start(request.line)
            outcome = self._outcome(request)
            self._journal.add(outcome)
            self._progress(outcome)

    def _outcome(self, request: RecordedRequest) -> Outcome:
        responses: list[Response] = []
        for number, side in enumerate(self._sides):
            try:
                responses.append(side.send(self._captures.request(request, number), self._timeout))
            except (UnreachableError, NoResponseError) as error:
                self._count_failure(side, error)
                failure = f"the {side.name} API: {error}"
                if request.writes and responses:
                    failure += ". Only the old API has responded to this write"
                unsent = isinstance(error, UnreachableError) and not responses
                return Outcome(request.line, failure=failure, again=unsent or not request.writes)
        with self._lock:
            self._failures = 0
        old, new = responses
        try:
            captured = self._captured(request, old, new)
        except ValueError as error:
            return Outcome(request.line, failure=str(error))
        if captured:
            self._captures.add(captured)
        pair = self._captures.response(old, 0), self._captures.response(new, 1)
        urls = self._sides[0].target.url, self._sides[1].target.url
        return Outcome(
            request.line,
            (old.status, new.status),
            (round(old.milliseconds, 3), round(new.milliseconds, 3)),
            tuple(differences(*pair, urls)),
            captured,
        )

    def _count_failure(self, side: Side, error: Exception) -> None:
        if not isinstance(error, UnreachableError):
            return
        with self._lock:
            self._failures += 1
            if self._failures >= self._patience and not self._stop.is_set():
                self.stopped = f"the {side.name} API: {error}"
                self._stop.set()

    def _captured(self, request: RecordedRequest, old: Response, new: Response) -> dict[str, tuple[str, str]]:
        """Return the id that a write created. Raises ValueError if it is too short to be replaced."""
        place = self._capture.get(self._route(request))
        ids = [_at(response.body, place) for response in (old, new)] if place and request.writes else []
        if not place or not all(ids):
            return {}
        recorded = request.ids.get(place) or f"id-of-line-{request.line}"
        if short := next((each for each in (recorded, *ids) if len(each) < SHORTEST_ID), None):
            raise ValueError(
                f"the captured id {short!r} has fewer than {SHORTEST_ID} characters, so other text could be taken for it"
            )
        return {recorded: (ids[0], ids[1])}


def _at(body: bytes, place: str) -> str:
    """Return the text or number at a place such as data.userId in a JSON body; "" if there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
