"""What passed the gate: which operations each client used, and what it was refused."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 200_000
PROVIDER = re.compile(r"terraform-provider-aws/\S+")


@dataclass(frozen=True)
class Remark:
    """What is to be said of a request: a violation by its operation, a note by its rule."""

    about: str
    text: str
    client: str
    at: float = field(default_factory=time.time)


@dataclass
class Record:
    """Kept in memory: an emulator's state goes with it, too."""

    requests: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT))
    # No client may send these: AWS's model does not allow them, or they are no operation at all.
    violations: list[Remark] = field(default_factory=list)
    # AWS takes these, and whoever counts on the opposite should know.
    notes: list[Remark] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, operation: str, client: str) -> None:
        """Remember a request."""
        self.requests.append((time.time(), client, operation))

    def operations(self, client: str = "", since: float = 0) -> dict[str, int]:
        """Return how often each operation was asked for since a time, by clients whose user agent has a text in it."""
        found = Counter(name for at, agent, name in self.requests if at >= since and client in agent)
        return dict(sorted(found.items()))

    def take(self, containing: str) -> list[dict[str, Any]]:
        """Return the violations with a text in them, and forget them."""
        taken = [violation for violation in self.violations if containing in f"{violation.about} {violation.text}"]
        self.violations = [violation for violation in self.violations if violation not in taken]
        return [asdict(violation) for violation in taken]
