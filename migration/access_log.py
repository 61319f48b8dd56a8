"""Reads API Gateway's access logs as requests: JSON, or the common log format. What cannot be read is a gap with its place."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from migration import redaction
from migration.errors import MigrationError
from migration.trace import READS, WRITES, RecordedRequest

GZIP = b"\x1f\x8b"
# Names under which formats log $context.httpMethod and $context.path, the module's and AWS's samples first.
METHOD_FIELDS = ("httpMethod", "method", "requestMethod")
PATH_FIELDS = ("path", "requestPath")
# The route: it is the path only if it has no variables.
ROUTE_FIELDS = ("routeKey", "resourcePath")
COMMON = re.compile(r'\[[^]]*\] "(?P<method>[A-Z]+) (?P<target>\S.*) HTTP/[\d.]+" (?:\d{3}|-)')
NUMBERED = re.compile(r"(?P<stem>.*\.)(?P<number>\d+)(?P<end>(?:\.gz)?)")
# Other methods need a body, or as OPTIONS headers, and a log has neither.
RECORDED = frozenset({"GET", "HEAD"})
NO_ENTRY = "neither JSON nor the common log format"
ROUTE_ONLY = "the format has the route, not the path: add $context.path to it"


@dataclass
class Readings:
    """What was read: counts of the requests without a body by method, and gaps by file and reason with their lines."""

    without_body: Counter[str] = field(default_factory=Counter)
    gaps: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def gap(self, file: Path, line: int, reason: str) -> None:
        """Note a line that could not be read."""
        self.gaps.setdefault((str(file), reason), []).append(line)

    @property
    def gap_count(self) -> int:
        """The number of the gaps."""
        return sum(map(len, self.gaps.values()))

    def gap_lines(self) -> list[str]:
        """Return a text for each run of lines: `access.log:4-7: reason`."""
        found = []
        for (file, reason), lines in self.gaps.items():
            for first, last in _runs(lines):
                place = f":{first}-{last}" if last > first else f":{first}" if first else ""
                found.append(f"{file}{place}: {reason}")
        return found


def _runs(lines: list[int]) -> Iterator[tuple[int, int]]:
    first = last = lines[0]
    for line in lines[1:]:
        if line != last + 1:
            yield first, last
            first = line
        last = line
    yield first, last


def read(files: list[Path], base_path: str, readings: Readings) -> Iterator[RecordedRequest]:
    """Return the reads of the files' requests, in order. Raises MigrationError for a file that does not exist, before any is read."""
    for file in files:
        if not file.is_file():
            raise MigrationError(f"{file} is not a file: give access logs, as text or compressed with gzip.")
    _note_missing_files(files, readings)
    for file in files:
        for number, line in _lines(file, readings):
            try:
                request = _request(line, base_path)
            except ValueError as error:
                readings.gap(file, number, str(error))
                continue
            if request.method not in RECORDED:
                readings.without_body[request.method] += 1
            else:
                yield request


def _note_missing_files(files: Iterable[Path], readings: Readings) -> None:
    """Note the numbers that rotated files lack: access.log.2 between access.log.1 and access.log.3."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for file in files:
        if found := NUMBERED.fullmatch(str(file)):
            numbers.setdefault((found["stem"], found["end"]), set()).add(int(found["number"]))
    for (stem, end), present in numbers.items():
        # Dates are no numbers of a sequence.
        if max(present) < 1000:
            for missing in sorted(set(range(min(present), max(present))) - present):
                readings.gap(Path(f"{stem}{missing}{end}"), 0, "missing between the rotated files that were given")


def _lines(file: Path, readings: Readings) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with _opened(file) as stream:
            for number, raw in enumerate(stream, 1):
                # A log that was truncated while it was written begins with a hole of NUL bytes.
                line = raw.strip(b"\0\r\n ")
                if raw.startswith(b"\0") or raw.rstrip(b"\r\n").endswith(b"\0"):
                    readings.gap(file, number, "a hole of NUL bytes, as after a rotation")
                if line:
                    yield number, line.decode(errors="replace")
    except (EOFError, OSError, zlib.error) as error:
        readings.gap(file, number + 1, f"the file cannot be read to its end: {error}")


def _opened(file: Path) -> IO[bytes]:
    with file.open("rb") as stream:
        compressed = stream.read(2) == GZIP
    return gzip.open(file) if compressed else file.open("rb")  # type: ignore[return-value]  # both are streams of bytes


def _request(line: str, base_path: str) -> RecordedRequest:
    """Return the request of a line. Raises ValueError with the reason if there is none; without the text, which may hold secrets."""
    method, path = _from_json(line) or _from_common(line)
    if method not in READS | WRITES:
        raise ValueError("its method is none of HTTP's")
    if "{" in path or path == "$default":
        raise ValueError(ROUTE_ONLY)
    if not path.startswith("/"):
        raise ValueError("it has no path")
    if path != base_path and not path.startswith((f"{base_path}/", f"{base_path}?")):
        raise ValueError(f"its path is not below {base_path}")
    below = quote(path.removeprefix(base_path) or "/", safe="!$%&'()*+,-./:;=?@_~")
    return RecordedRequest(method, redaction.path(below))


def _from_json(line: str) -> tuple[str, str] | None:
    """Return method and path of an entry in JSON. Exports of CloudWatch Logs have a time before it, `aws logs tail` a stream too."""
    start = line.find("{")
    try:
        entry = json.loads(line[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    route = _first(entry, ROUTE_FIELDS)
    method = _first(entry, METHOD_FIELDS) or route.partition(" ")[0]
    return method, _first(entry, PATH_FIELDS) or route.rpartition(" ")[2]


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of the fields that has a value; API Gateway logs - for none."""
    return next((str(entry[name]) for name in names if entry.get(name) not in (None, "", "-")), "")


def _from_common(line: str) -> tuple[str, str]:
    found = COMMON.search(line)
    if not found:
        raise ValueError(NO_ENTRY)
    # With $context.routeKey in the place of the path, the method is there twice.
    return found["method"], found["target"].removeprefix(f"{found['method']} ")
