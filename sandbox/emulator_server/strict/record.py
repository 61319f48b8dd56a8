"""What passed the gate: which operations each client used, and what it was refused."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 100_000
TEXT = 1000


@dataclass(frozen=True)
class Entry:
    """A request or what is to be said of one: its operation, or the rule that says it; its text; whose it was."""

    about: str
    text: str
    client: str
    at: float = field(default_factory=time.time)


@dataclass
class Record:
    """Kept in memory: an emulator's state goes with it, too."""

    requests: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    # No client may send these: AWS's model does not allow them, or they are no operation at all.
    violations: list[Entry] = field(default_factory=list)
    # AWS takes these, and whoever counts on the opposite should know.
    notes: list[Entry] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, operation: str, client: str, text: str) -> None:
        """Remember a request, and the beginning of what it says."""
        self.requests.append(Entry(operation, text[:TEXT], client))

    def found(self, client: str = "", containing: str = "", since: float = 0) -> list[str]:
        """Return the operations that were asked for since a time, in order, by clients whose user agent has a text in it.

        Those with a text in their path or body alone: a function's name, for one.
        """
        kept = (request for request in self.requests if request.at >= since and client in request.client)
        return [request.about for request in kept if containing in request.text]

    def take(self, containing: str) -> list[dict[str, Any]]:
        """Return the violations with a text in them, and forget them."""
        taken = [violation for violation in self.violations if containing in f"{violation.about} {violation.text}"]
        self.violations = [violation for violation in self.violations if violation not in taken]
        return [asdict(violation) for violation in taken]
