"""The result of a comparison: what was found by request, by route, and after the accepted differences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migration.accepted import Accepted, Entry
from migration.difference import Difference

EQUAL, DIFFERENT, INCOMPLETE = 0, 1, 3
# Responses to a caller who is not let in: behind them, nothing was compared.
REFUSALS = frozenset({401, 403})


@dataclass(frozen=True)
class Outcome:
    """What became of a request, by its line in the file, and its id if it has one: the pair of responses, or why there is none.

    `captured` are ids of the recording with those of the old and the new API. `again`: whether a request that failed may be sent again.
    """

    line: int
    statuses: tuple[int, int] | None = None
    milliseconds: tuple[float, float] | None = None
    differences: tuple[Difference, ...] = ()
    captured: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    failure: str = ""
    again: bool = False
    id: str = ""

    @property
    def place(self) -> str:
        """Where the request is."""
        return f"line {self.line}, {self.id}" if self.id else f"line {self.line}"


@dataclass
class Found:
    """A difference of a route: in how many requests, the first of them, and the entry that accepts it, if any."""

    difference: Difference
    first: Outcome
    count: int = 0
    entry: Entry | None = None


@dataclass
class RouteResult:
    """What was found for a route. `differing` and `accepted` count requests; `skipped` are writes that were not asked for."""

    route: str
    compared: int = 0
    differing: int = 0
    accepted: int = 0
    skipped: int = 0
    failures: dict[int, Outcome] = field(default_factory=dict)
    statuses: Counter[tuple[int, int]] = field(default_factory=Counter)
    milliseconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    found: dict[Difference, Found] = field(default_factory=dict)

    @property
    def only_refused(self) -> bool:
        """Whether neither API let any caller in."""
        return bool(self.statuses) and all(set(pair) <= REFUSALS for pair in self.statuses)

    def add(self, outcome: Outcome, accepted: Accepted) -> None:
        """Count an outcome."""
        if outcome.failure or not outcome.statuses or not outcome.milliseconds:
            self.failures[outcome.line] = outcome
            return
        self.compared += 1
        self.statuses[outcome.statuses] += 1
        for times, time in zip(self.milliseconds, outcome.milliseconds, strict=True):
            times.append(time)
        for each in outcome.differences:
            if each not in self.found:
                self.found[each] = Found(each, outcome, entry=accepted.entry_for(self.route, each))
            self.found[each].count += 1
        unaccepted = any(self.found[each].entry is None for each in outcome.differences)
        self.differing += unaccepted
        self.accepted += bool(outcome.differences) and not unaccepted

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "route": self.route,
            "compared": self.compared,
            "differing": self.differing,
            "accepted": self.accepted,
            "skipped_writes": self.skipped,
            "not_compared": [
                {"line": line, "id": each.id, "reason": each.failure} for line, each in sorted(self.failures.items())
            ],
            "statuses": [{"old": old, "new": new, "count": count} for (old, new), count in self.statuses.items()],
            "milliseconds": {
                side: {"p50": percentile(times, 50), "p99": percentile(times, 99)}
                for side, times in zip(("old", "new"), self.milliseconds, strict=True)
            },
            "differences": [
                {
                    "kind": found.difference.kind,
                    "name": found.difference.name,
                    "old": found.difference.old,
                    "new": found.difference.new,
                    "count": found.count,
                    "first_line": found.first.line,
                    "first_id": found.first.id,
                    "accepted": found.entry.reason if found.entry else None,
                }
                for found in self.found.values()
            ],
        }


@dataclass(frozen=True)
class Result:
    """The result by route, with the entries of the accepted file that no difference needed.

    `gone` state values that are no longer there although their route was requested: they fail, so that the file stays true. `unused` had
    no request, or accept any values, which may also be equal.
    """

    routes: tuple[RouteResult, ...]
    gone: tuple[Entry, ...] = ()
    unused: tuple[Entry, ...] = ()
    stopped: str = ""

    @property
    def unaccepted(self) -> list[tuple[str, Found]]:
        """The differences that no entry accepts, with their routes."""
        return [(each.route, found) for each in self.routes for found in each.found.values() if not found.entry]

    @property
    def compared(self) -> int:
        """The number of requests to which both APIs responded."""
        return sum(each.compared for each in self.routes)

    @property
    def not_compared(self) -> int:
        """The number of requests that were meant to be compared, and were not."""
        return sum(len(each.failures) for each in self.routes)

    @property
    def open(self) -> int:
        """The number of requests that --resume sends."""
        return sum(outcome.again for each in self.routes for outcome in each.failures.values())

    @property
    def skipped(self) -> int:
        """The number of writes that were not asked for."""
        return sum(each.skipped for each in self.routes)

    @property
    def exit_code(self) -> int:
        """0: equal or accepted; 1: differences; 3: some requests were not compared."""
        if self.unaccepted or self.gone:
            return DIFFERENT
        return INCOMPLETE if self.not_compared else EQUAL

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "exit_code": self.exit_code,
            "compared": self.compared,
            "skipped_writes": self.skipped,
            "not_compared": self.not_compared,
            "stopped": self.stopped,
            "routes": [each.as_json() for each in self.routes],
            "accepted_but_gone": [str(entry) for entry in self.gone],
            "accepted_but_unused": [str(entry) for entry in self.unused],
        }


def judge(
    outcomes: Iterable[tuple[str, Outcome]],
    skipped: Iterable[str],
    known: Iterable[str],
    accepted: Accepted,
    stopped: str = "",
) -> Result:
    """Return the result of outcomes with their routes, of skipped writes' routes, and of the known routes, which come first."""
    routes = {route: RouteResult(route) for route in known}
    for route, outcome in outcomes:
        routes.setdefault(route, RouteResult(route)).add(outcome, accepted)
    for route in skipped:
        routes.setdefault(route, RouteResult(route)).skipped += 1
    used = {found.entry for each in routes.values() for found in each.found.values()}
    requested = [each.route for each in routes.values() if each.compared]
    unneeded = [entry for entry in accepted.entries if entry not in used]
    gone = [entry for entry in unneeded if entry.exact and any(map(entry.applies_to, requested))]
    return Result(tuple(routes.values()), tuple(gone), tuple(each for each in unneeded if each not in gone), stopped)


def percentile(values: list[float], percent: int) -> float | None:
    """Return the smallest value that is at least as large as this percentage of the values; None without any."""
    return round(sorted(values)[math.ceil(len(values) * percent / 100) - 1], 1) if values else None
