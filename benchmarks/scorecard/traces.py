"""A user's own trace: a CSV file with the columns timestamp, endpoint and duration_ms."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.scorecard.arrivals import CHUNK, Chunk, Floats, Integers
from benchmarks.scorecard.errors import ScorecardError

COLUMNS = ("timestamp", "endpoint", "duration_ms")
# A pause is named if Poisson arrivals at the trace's rate would have one in a million gaps as long, and it exceeds an hour.
GAP_MEANS, GAP_SECONDS = math.log(1e6), 3600.0


@dataclass(frozen=True)
class Trace:
    """Requests of a file, in order of time.

    Attributes:
        names: the endpoints' names, by number.
        times: seconds since the first request.
        skipped: what was left out: line number and reason.
        gaps: pauses that may be missing data: seconds since the first request, and length. They count as idle time.
    """

    names: list[str]
    times: Floats
    endpoints: Integers
    durations_ms: Floats
    skipped: list[tuple[int, str]]
    gaps: list[tuple[float, float]]

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """Return its requests in chunks; factors are durations in ms, for fleets with a mean duration of 1 ms."""
        for begin in range(0, len(self.times), size):
            part = slice(begin, begin + size)
            yield Chunk(self.times[part], self.endpoints[part], self.durations_ms[part])


def read(file: Path, *, skip_invalid: bool = False) -> Trace:
    """Read a trace; a name that ends in .gz is decompressed. Lines need not be in order.

    Raises:
        ScorecardError: the file cannot be read, lacks a column or has no requests; or a line is invalid and `skip_invalid` off.
    """
    numbers: dict[str, int] = {}
    rows: list[tuple[float, int, float]] = []
    skipped: list[tuple[int, str]] = []
    try:
        with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as lines:
            reader = csv.DictReader(lines)
            if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
                raise ScorecardError(
                    f"{file} has no column {', '.join(missing)}: the first line names {', '.join(COLUMNS)}."
                )
            for row in reader:
                try:
                    time, duration = _seconds(row["timestamp"]), _duration(row["duration_ms"])
                    endpoint = _endpoint(row["endpoint"])
                except ValueError as error:
                    skipped.append((reader.line_num, str(error)))
                else:
                    rows.append((time, numbers.setdefault(endpoint, len(numbers)), duration))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScorecardError(f"{file} cannot be read as CSV: {error}. Convert other formats to CSV first.") from error
    if skipped and not skip_invalid:
        line, reason = skipped[0]
        raise ScorecardError(
            f"{file}: {len(skipped)} of {len(rows) + len(skipped)} lines are invalid, the first is line {line}: {reason}. "
            "Mend them, or leave them out with --skip-invalid."
        )
    if not rows:
        raise ScorecardError(f"{file} has no requests.")
    return _trace(rows, list(numbers), skipped)


def _trace(rows: list[tuple[float, int, float]], names: list[str], skipped: list[tuple[int, str]]) -> Trace:
    rows.sort()
    times = np.array([time for time, _, _ in rows])
    times -= times[0]
    between = np.diff(times)
    limit = max(GAP_MEANS * float(np.median(between)) / math.log(2), GAP_SECONDS) if len(between) else math.inf
    gaps = [(float(times[i]), float(between[i])) for i in np.flatnonzero(between > limit)]
    endpoints = np.array([endpoint for _, endpoint, _ in rows], np.int32)
    return Trace(names, times, endpoints, np.array([duration for _, _, duration in rows]), skipped, gaps)


def _endpoint(text: str | None) -> str:
    if not text:
        raise ValueError("endpoint is empty")
    return text


def _seconds(text: str | None) -> float:
    """Return seconds since 1970 of a number of seconds or an ISO 8601 time."""
    if not text:
        raise ValueError("timestamp is empty")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise ValueError(f"timestamp {text!r} is neither seconds nor an ISO 8601 time") from None
    if not math.isfinite(seconds):
        raise ValueError(f"timestamp {text!r} is not finite")
    return seconds


def _duration(text: str | None) -> float:
    """Return milliseconds."""
    try:
        duration = float(text or "")
    except ValueError:
        raise ValueError(f"duration_ms {text!r} is not a number") from None
    if not 0 <= duration <= 900_000:
        raise ValueError(f"duration_ms {text} is not between 0 and 900000, Lambda's timeout")
    return duration
