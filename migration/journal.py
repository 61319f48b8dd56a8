"""The journal of a comparison: JSON lines, written as results come, from which --resume continues."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from migration.comparison import Outcome
from migration.difference import Difference
from migration.errors import ComparisonError

INTERRUPTED = "the comparison was interrupted while it was sent, and a write is never sent twice"


class Journal:
    """The results so far by line of the requests' file, and a file to which further ones are added.

    The first line says what is compared; a journal of something else is refused. A write is noted before it is sent.
    """

    def __init__(self, file: Path, compares: Mapping[str, Any], *, resume: bool) -> None:
        self.file = file
        self.outcomes: dict[int, Outcome] = {}
        self._started: set[int] = set()
        self._lock = threading.Lock()
        try:
            self._stream = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        except OSError as error:
            raise ComparisonError(f"{file} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open(compares, resume=resume)
        except BlockingIOError as error:
            self._stream.close()
            raise ComparisonError(
                f"another comparison is writing {file}: wait for it, or name another --journal."
            ) from error
        except BaseException:
            self._stream.close()
            raise

    def _open(self, compares: Mapping[str, Any], *, resume: bool) -> None:
        """Read what is there, or begin. Raises ComparisonError, and changes nothing, if the file is something else."""
        whole, length = _read(self._stream, self.file)
        if whole and not isinstance(whole[0].get("compares"), dict):
            raise ComparisonError(f"{self.file} is not the journal of a comparison: name another with --journal.")
        if resume:
            self._continue(whole, compares)
            # The line that was being written when the comparison was killed is cut off.
            self._stream.seek(length)
            self._stream.truncate()
            return
        results = sum("line" in values for values in whole)
        if any("started" in values or "line" in values for values in whole) and "finished" not in whole[-1]:
            raise ComparisonError(
                f"{self.file} has {results} results of a comparison that did not end: continue with --resume, or delete it."
            )
        self._stream.seek(0)
        self._stream.truncate()
        self._write({"compares": dict(compares)})

    def _continue(self, whole: list[dict[str, Any]], compares: Mapping[str, Any]) -> None:
        if not whole:
            raise ComparisonError(f"{self.file} is empty, so there is nothing to resume: run without --resume.")
        before = whole[0]["compares"]
        if other := [name for name in compares if before.get(name) != compares[name]]:
            raise ComparisonError(
                f"{self.file} is the journal of another comparison, with other {' and '.join(other)}: "
                "run without --resume, or name another --journal."
            )
        for values in whole[1:]:
            self._add_read(values)
        for line in self._started - self.outcomes.keys():
            self.outcomes[line] = Outcome(line, failure=INTERRUPTED)

    def _add_read(self, values: Mapping[str, Any]) -> None:
        try:
            if "started" in values:
                self._started.add(values["started"])
            elif "line" in values:
                self.outcomes[values["line"]] = _outcome(values)
        except (KeyError, TypeError) as error:
            raise ComparisonError(f"{self.file} is not the journal of a comparison ({error}): delete it.") from error

    def start(self, line: int) -> None:
        """Note that a write is about to be sent."""
        self._write({"started": line})

    def add(self, outcome: Outcome) -> None:
        """Add a result."""
        with self._lock:
            self.outcomes[outcome.line] = outcome
        self._write(_values(outcome))

    def finish(self) -> None:
        """Note that nothing is left to send."""
        self._write({"finished": True})

    def _write(self, values: Mapping[str, Any]) -> None:
        line = json.dumps(values).encode() + b"\n"
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
        except OSError as error:
            raise ComparisonError(
                f"{self.file} cannot be written: {error.strerror}. Continue with --resume."
            ) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


def _read(stream: IO[bytes], file: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines, and their length. Raises ComparisonError if they are no JSON objects, or if there is no whole line."""
    text = stream.read()
    length = text.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in text[:length].splitlines()]
    except ValueError:
        lines = [None]
    if not all(isinstance(values, dict) for values in lines) or (text and not lines):
        raise ComparisonError(f"{file} is not the journal of a comparison: name another with --journal.")
    return lines, length


def _values(outcome: Outcome) -> dict[str, Any]:
    if outcome.failure:
        return {"line": outcome.line, "failure": outcome.failure, "again": outcome.again}
    return {
        "line": outcome.line,
        "statuses": outcome.statuses,
        "milliseconds": outcome.milliseconds,
        "differences": [[each.kind, each.name, each.old, each.new] for each in outcome.differences],
        "captured": outcome.captured,
    }


def _outcome(values: Mapping[str, Any]) -> Outcome:
    if "failure" in values:
        return Outcome(values["line"], failure=values["failure"], again=values["again"])
    return Outcome(
        values["line"],
        tuple(values["statuses"]),
        tuple(values["milliseconds"]),
        tuple(Difference(*each) for each in values["differences"]),
        {recorded: tuple(pair) for recorded, pair in values["captured"].items()},
    )
