"""The command `compare`: replays recorded requests against the old and the new API, and shows where the responses differ."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from migration import accepted as accepted_file
from migration import comparison_table, route_keys, trace
from migration.client import CONNECT_SECONDS, Target, UnreachableError
from migration.comparison import Outcome, Result, judge
from migration.errors import ComparisonError, MigrationError
from migration.journal import Journal
from migration.progress import Progress
from migration.replay import Replay, Side
from migration.trace import RecordedRequest

CLIENTS, LARGEST_CLIENTS = 4, 64
# API Gateway gives up after 30 s.
TIMEOUT = 35.0


@dataclass(frozen=True)
class Options:
    """What to compare, and how. Headers are sent with each request; those of a side are of `old_headers` and `new_headers`.

    `writes` also sends POST, PUT, PATCH and DELETE, to both APIs: only where these are deployed on copies of the data.
    """

    requests: Path
    old: str
    new: str
    routes: Path | None = None
    accepted: Path | None = None
    writes: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    old_headers: Mapping[str, str] = field(default_factory=dict)
    new_headers: Mapping[str, str] = field(default_factory=dict)
    omitted_headers: tuple[str, ...] = ()
    clients: int = CLIENTS
    timeout: float = TIMEOUT
    journal: Path | None = None
    resume: bool = False
    quiet: bool = False

    @property
    def journal_file(self) -> Path:
        """The file that keeps the results."""
        return self.journal or self.requests.with_suffix(".journal.jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("requests", type=Path, help="recorded requests: a file of `python -m migration record`")
    parser.add_argument("--old", required=True, metavar="URL", help="the old API, with its stage")
    parser.add_argument("--new", required=True, metavar="URL", help="the new API")
    parser.add_argument(
        "--routes",
        type=Path,
        metavar="FILE",
        help="routes to group by: inventory.json, an OpenAPI document as JSON, or a .tfvars file (default: the paths' shapes)",
    )
    parser.add_argument("--accepted", type=Path, metavar="FILE", help="accepted differences, in YAML")
    parser.add_argument(
        "--propose", type=Path, metavar="FILE", help="write entries for the other differences, to be given reasons"
    )
    parser.add_argument(
        "--writes",
        action="store_true",
        help="also send POST, PUT, PATCH and DELETE, in order and one at a time, to both APIs. They change data: use it only if both "
        "are deployed on copies of the data, each on its own",
    )
    for side, text in (("", "both APIs"), ("old-", "the old API"), ("new-", "the new API")):
        parser.add_argument(
            f"--{side}header-env",
            action="append",
            default=[],
            metavar="NAME=VARIABLE",
            help=f"a header for {text}, with its value in an environment variable, such as authorization=AUTHORIZATION (may be repeated)",
        )
    parser.add_argument(
        "--omit-header",
        action="append",
        default=[],
        metavar="NAME",
        help="send requests without this header, which recordings do not keep (may be repeated)",
    )
    parser.add_argument(
        "--clients",
        type=int,
        default=CLIENTS,
        help=f"reads at the same time, 1 to {LARGEST_CLIENTS} (default: {CLIENTS})",
    )
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help=f"for a response (default: {TIMEOUT:g})"
    )
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="where results are kept (default: beside the requests)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="send only what the journal does not have, and judge again"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")


def run(given: argparse.Namespace) -> int:
    """Compare, print the result, and return the exit code. Raises MigrationError."""
    if given.propose and given.propose.exists():
        raise ComparisonError(f"{given.propose} exists: name another file with --propose, or remove it.")
    options = Options(
        requests=given.requests,
        old=given.old,
        new=given.new,
        routes=given.routes,
        accepted=given.accepted,
        writes=given.writes,
        headers=_headers(given.header_env, "--header-env"),
        old_headers=_headers(given.old_header_env, "--old-header-env"),
        new_headers=_headers(given.new_header_env, "--new-header-env"),
        omitted_headers=tuple(name.lower() for name in given.omit_header),
        clients=given.clients,
        timeout=given.timeout,
        journal=given.journal,
        resume=given.resume,
    )
    resume = f"{given.command_line.removesuffix(' --resume')} --resume"
    try:
        result = compare(options)
    except KeyboardInterrupt:
        print(f"interrupted: the results so far are kept. Continue with: {resume}", file=sys.stderr)
        return 130
    print(comparison_table.text(result))
    _write_files(given, result)
    print(comparison_table.summary(result), flush=True)
    if result.open:
        print(f"{result.open} requests are left. Once both APIs respond, continue with: {resume}", file=sys.stderr)
    return result.exit_code


def _headers(given: Sequence[str], option: str) -> dict[str, str]:
    """Return the headers of an option. Raises ComparisonError for one without a value."""
    found = {}
    for each in given:
        name, _, variable = each.partition("=")
        if not trace.HEADER_NAME.fullmatch(name) or not variable:
            raise ComparisonError(f"{option} must be NAME=VARIABLE, such as authorization=AUTHORIZATION, not {name!r}.")
        value = os.environ.get(variable, "")
        if not value or not trace.HEADER_VALUE.fullmatch(value):
            raise ComparisonError(
                f"{option} {name}: the environment variable {variable} must have the header's value, on one line."
            )
        found[name.lower()] = value
    return found


def _write_files(given: argparse.Namespace, result: Result) -> None:
    try:
        if given.json:
            given.json.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
        if given.propose and result.unaccepted:
            proposed = accepted_file.propose((route, found.difference) for route, found in result.unaccepted)
            given.propose.write_text(proposed, encoding="utf-8")
            print(f"Proposed: {given.propose}. Give each entry a reason, or delete it and fix the new API.")
    except OSError as error:
        raise ComparisonError(f"{error.filename} cannot be written: {error.strerror}.") from error


def compare(options: Options) -> Result:
    """Compare the APIs, and return the result. Raises ComparisonError; after KeyboardInterrupt, the journal has what was compared."""
    try:
        return _compare(options)
    except ComparisonError:
        raise
    except MigrationError as error:
        raise ComparisonError(str(error)) from error


def _compare(options: Options) -> Result:
    if not 1 <= options.clients <= LARGEST_CLIENTS or options.timeout <= 0:
        raise ComparisonError(
            f"--clients must be 1 to {LARGEST_CLIENTS}, since each is a connection to both APIs, and --timeout more than 0."
        )
    requests = trace.load(options.requests)
    known = route_keys.load(options.routes) if options.routes else []
    accepted = accepted_file.load(options.accepted) if options.accepted else accepted_file.Accepted()
    router = route_keys.Router(known)
    sides = _sides(options)
    _check_headers(requests, sides, options)

    def route(request: RecordedRequest) -> str:
        return router.route(request.method, request.path)

    wanted = [request for request in requests if options.writes or not request.writes]
    compares = {
        "requests": hashlib.sha256(options.requests.read_bytes()).hexdigest(),
        "old": sides[0].target.url,
        "new": sides[1].target.url,
        "writes": options.writes,
        "capture": dict(accepted.capture) if options.writes else {},
    }
    with Journal(options.journal_file, compares, resume=options.resume) as journal:
        # Requests that failed are sent again, except writes that an API may have got.
        unsent = Outcome(0, again=True)
        waiting = [each for each in wanted if journal.outcomes.get(each.line, unsent).again]
        if waiting:
            _check_reachable(sides)
        counts = _Counts(len(wanted), len(wanted) - len(waiting), quiet=options.quiet)
        replay = Replay(sides, journal, route, accepted.capture, options.timeout, counts.add, writes=options.writes)
        # Writes are in order, since one may need what an earlier one did.
        replay.run(waiting, 1 if options.writes else options.clients)
        if not replay.stopped:
            journal.finish()
        unsent = Outcome(0, failure=f"not sent, since {replay.stopped}", again=True)
        found = journal.outcomes
        outcomes = [(route(each), replace(found.get(each.line, unsent), line=each.line, id=each.id)) for each in wanted]
    skipped = [route(each) for each in requests if each.writes and not options.writes]
    return judge(outcomes, skipped, known, accepted, replay.stopped)


def _sides(options: Options) -> tuple[Side, Side]:
    old, new = Target.parse(options.old, "--old"), Target.parse(options.new, "--new")
    if old.place == new.place:
        raise ComparisonError(f"--old and --new are the same API, {old.url}: there is nothing to compare.")
    return (
        Side("old", old, {**options.headers, **options.old_headers}),
        Side("new", new, {**options.headers, **options.new_headers}),
    )


def _check_headers(requests: list[RecordedRequest], sides: tuple[Side, Side], options: Options) -> None:
    """Raise ComparisonError if requests had a secret header that is not given: both APIs would refuse them, which looks equal."""
    removed = {name for request in requests for name in request.removed or ()}
    given = {*sides[0].headers, *sides[1].headers, *options.omitted_headers}
    if missing := sorted(removed - given):
        names = " and ".join(missing)
        raise ComparisonError(
            f"requests had the header {names}, which a recording does not keep: give it with "
            f"--header-env {missing[0]}=VARIABLE, or send them without it with --omit-header {missing[0]}."
        )


def _check_reachable(sides: tuple[Side, Side]) -> None:
    for side in sides:
        try:
            side.target.connection(CONNECT_SECONDS).close()
        except UnreachableError as error:
            raise ComparisonError(f"the {side.name} API cannot be compared: {error}.") from error


class _Counts:
    """Counts outcomes, and says how far the comparison is."""

    def __init__(self, total: int, done: int, *, quiet: bool) -> None:
        self._total, self._done, self._differ, self._failed = total, done, 0, 0
        self._progress = Progress(quiet=quiet)
        self._lock = threading.Lock()
        if done and not quiet:
            print(f"{done} of {total} requests are in the journal", file=sys.stderr, flush=True)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        with self._lock:
            self._done += 1
            self._differ += bool(outcome.differences)
            self._failed += bool(outcome.failure)
            self._progress.say(
                lambda: (
                    f"{self._done} of {self._total} requests sent, {self._differ} with differences, {self._failed} not compared"
                )
            )
