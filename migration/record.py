"""The command `record`: requests for a comparison, from access logs or through a proxy, without secrets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from migration import access_log
from migration.client import Target
from migration.errors import MigrationError
from migration.progress import Progress
from migration.proxy import RecordingProxy
from migration.trace import RecordedRequest

COMPLETE, FAILED, INCOMPLETE = 0, 1, 3
SHOWN_GAPS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--access-log",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="access logs of API Gateway, as text or gzip: JSON or the common log format. They have no bodies, so only reads are recorded",
    )
    source.add_argument("--proxy", type=_port, metavar="PORT", help="listen on this port of 127.0.0.1, and forward")
    parser.add_argument("--to", metavar="URL", help="the API to which --proxy forwards")
    parser.add_argument(
        "--base-path",
        default="",
        metavar="PATH",
        help="with --access-log: what the API's paths begin with, such as the stage /prod. It is removed",
    )
    parser.add_argument("--unique", action="store_true", help="record a request once, however often it was sent")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("requests.jsonl"),
        metavar="FILE",
        help="the file to write, which must not exist (default: requests.jsonl)",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def run(given: argparse.Namespace) -> int:
    """Record, print what was recorded, and return the exit code. Raises MigrationError."""
    if given.proxy is None:
        if given.to:
            raise MigrationError("--to is the API behind --proxy: an access log needs none.")
        return _from_logs(given)
    if not given.to or given.base_path:
        raise MigrationError(
            "--proxy needs --to URL, whose path is what the API's paths begin with, and no --base-path."
        )
    return _through_proxy(given)


class Writer:
    """Writes requests to the file, each at once."""

    def __init__(self, stream: TextIO, *, unique: bool) -> None:
        self.recorded = 0
        self.repeated = 0
        self._stream = stream
        self._seen: set[str] | None = set() if unique else None

    def write(self, request: RecordedRequest) -> None:
        """Write a request, unless it is one that was written and only unique ones are wanted."""
        line = request.as_line()
        if self._seen is not None:
            if line in self._seen:
                self.repeated += 1
                return
            self._seen.add(line)
        self._stream.write(line)
        self._stream.flush()
        self.recorded += 1


@contextmanager
def _writer(given: argparse.Namespace) -> Iterator[Writer]:
    """Open the file for its owner only: bodies and paths may hold personal data."""
    try:
        descriptor = os.open(given.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise MigrationError(f"{given.out} exists: choose another file with --out, or remove it.") from error
    except OSError as error:
        raise MigrationError(f"{given.out} cannot be written: {error.strerror}.") from error
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - of a descriptor
        yield Writer(stream, unique=given.unique)


def _from_logs(given: argparse.Namespace) -> int:
    readings = access_log.Readings()
    base_path = given.base_path.rstrip("/")
    if base_path and not base_path.startswith("/"):
        raise MigrationError(f"--base-path must begin with /, such as /prod, not {given.base_path!r}.")
    with _writer(given) as writer:
        try:
            progress = Progress()
            for request in access_log.read(given.access_log, base_path, readings):
                writer.write(request)
                progress.say(lambda: f"{writer.recorded} requests recorded, {readings.gap_count} gaps")
        except KeyboardInterrupt:
            print(f"interrupted: {writer.recorded} requests are in {given.out}", file=sys.stderr)
            return 130
        finally:
            _remove_if_empty(given.out, writer)
    _print_counts(given.out, writer)
    if readings.without_body:
        counts = ", ".join(f"{number} {method}" for method, number in sorted(readings.without_body.items()))
        print(
            f"Not recorded, since there is no body in an access log, and no headers: {counts}. Record them with --proxy."
        )
    if writer.recorded:
        print("API Gateway logs no query strings: a request that had one is recorded without it.")
    return _conclude(readings, writer)


def _conclude(readings: access_log.Readings, writer: Writer) -> int:
    lines = readings.gap_lines()
    if lines:
        print(f"{readings.gap_count} gaps in the logs, and what could be read is kept:", file=sys.stderr)
        for line in lines[:SHOWN_GAPS]:
            print(f"  {line}", file=sys.stderr)
        if len(lines) > SHOWN_GAPS:
            print(f"  and {len(lines) - SHOWN_GAPS} more places", file=sys.stderr)
    if not writer.recorded:
        raise MigrationError("the logs have no request that could be recorded, so no file was written.")
    return INCOMPLETE if lines else COMPLETE


def _through_proxy(given: argparse.Namespace) -> int:
    to = Target.parse(given.to, "--to")
    with _writer(given) as writer:
        try:
            server = RecordingProxy(
                given.proxy, to, writer.write, lambda text: print(text, file=sys.stderr, flush=True)
            )
        except OSError as error:
            _remove_if_empty(given.out, writer)
            raise MigrationError(f"cannot listen on port {given.proxy}: {error.strerror}.") from error
        with server:
            print(f"http://127.0.0.1:{server.server_port} forwards to {to.url}. Ctrl-C ends the recording.", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
        _remove_if_empty(given.out, writer)
    if not writer.recorded:
        raise MigrationError("nobody sent a request, so no file was written.")
    _print_counts(given.out, writer)
    return COMPLETE


def _remove_if_empty(file: Path, writer: Writer) -> None:
    if not writer.recorded:
        file.unlink()


def _print_counts(file: Path, writer: Writer) -> None:
    if writer.recorded:
        repeated = f", and {writer.repeated} repeated ones left out" if writer.repeated else ""
        print(f"{writer.recorded} requests recorded in {file}{repeated}", flush=True)
