"""Requests that the gate has seen, and what it rejected."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_REQUESTS = 100_000
MAX_TEXT = 1000
MAX_VALUE = 300  # of a member of the input
MAX_ITEMS = 20


@dataclass(frozen=True)
class Entry:
    """A request, violation or note. `about` is the operation or the rule, `client` the user agent.

    `input` has a request's members with boto3's names, as far as they name resources: long values are cut.
    """

    about: str
    text: str
    client: str
    at: float = field(default_factory=time.time)
    input: dict[str, Any] = field(default_factory=dict)


@dataclass
class Record:
    """All entries, in memory, like the emulator's state."""

    requests: deque[Entry] = field(default_factory=lambda: deque(maxlen=MAX_REQUESTS))
    # Requests that violate AWS's model, or that match no operation.
    violations: list[Entry] = field(default_factory=list)
    # Requests that AWS accepts, with an effect that users should know.
    notes: list[Entry] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, operation: str, client: str, text: str, given: dict[str, Any]) -> None:
        """Record a request, with the beginning of its text and of its input."""
        self.requests.append(Entry(operation, text[:MAX_TEXT], client, input=_short(given)))

    def operations(self, client: str = "", containing: str = "", since: float = 0) -> list[str]:
        """Return the operations of the requests since a time, in order.

        `client` filters by a text in the user agent, `containing` by a text in path or body.
        """
        matching = (request for request in self.requests if request.at >= since and client in request.client)
        return [request.about for request in matching if containing in request.text]

    def inputs(self, client: str = "", since: float = 0) -> list[dict[str, Any]]:
        """Return operation, input and client of the requests since a time, in order. `client` is as in `operations`."""
        matching = (request for request in self.requests if request.at >= since and client in request.client)
        return [{"operation": r.about, "input": r.input, "client": r.client} for r in matching]

    def take_violations(self, containing: str) -> list[dict[str, Any]]:
        """Return and remove the violations that contain a text."""
        taken = [violation for violation in self.violations if containing in f"{violation.about} {violation.text}"]
        self.violations = [violation for violation in self.violations if violation not in taken]
        return [asdict(violation) for violation in taken]


def _short(value: Any, depth: int = 0) -> Any:
    """Return a value with long texts and lists cut, without bytes, and nested up to two levels."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if not isinstance(inner, bytes)} if depth < 2 else {}
        return {key: _short(inner, depth + 1) for key, inner in kept.items()}
    if isinstance(value, list):
        return [_short(inner, depth + 1) for inner in value[:MAX_ITEMS]]
    return value[:MAX_VALUE] if isinstance(value, str) else value
