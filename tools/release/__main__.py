"""Compare the module's interface with the last release, and record releases.

    python -m tools.release check
    python -m tools.release record VERSION [--commit COMMIT]
    python -m tools.release refresh

docs/releasing.md says when to run which. Exit code 1, with the reasons, when something is refused.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

from sandbox.paths import EXAMPLE_SOURCES
from sandbox.paths import ROOT as PROJECT

from .changelog import close, close_steps
from .check import JUDGED, check
from .errors import ReleaseError
from .interface import snapshot
from .records import FOLDER, MODULE, Record, git, records, sources

SOURCES = EXAMPLE_SOURCES
NOTHING_JUDGED = "# What release-check cannot judge by itself, for the next release: docs/releasing.md says how.\n[]\n"


def record(project: Path, version: str, commit: str) -> Record:
    """Record a release of a commit, and close CHANGELOG.md and UPGRADING.md. ReleaseError when it may not be released so."""
    commit = git(project, "rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
    if commit not in git(project, "rev-list", "HEAD").decode().split():
        raise ReleaseError(f"{commit[:7]} is not in HEAD's history: a release's sources must stay reachable")
    earlier = records(project)
    if open_changes := git(project, "status", "--porcelain", "--", *SOURCES).decode():
        raise ReleaseError(f"a release is what is committed, and this is not:\n{open_changes}")
    made = _read(project, version, commit)
    if made.interface != snapshot(project / MODULE):
        raise ReleaseError(
            f"the module of {commit[:7]} has another interface than the working tree: CHANGELOG.md tells of the latter"
        )
    if earlier:
        made = replace(made, judged=_releasable(project, version))
    made.write(project)
    (project / JUDGED).write_text(NOTHING_JUDGED, encoding="utf-8")
    for name, text in _closed(project, made).items():
        (project / name).write_text(text, encoding="utf-8")
    return made


def _releasable(project: Path, version: str) -> list[dict[str, str]]:
    """Return what was judged for a release; ReleaseError when it must not have this version."""
    report = check(project)
    if report.problems:
        raise ReleaseError(str(report))
    if report.least_version is None:
        raise ReleaseError(f"nothing has changed since {report.record.version}, by interface or by CHANGELOG.md")
    if Version(version) < Version(report.least_version):
        raise ReleaseError(f"{version} is too low: {report.least_version} at least.\n{report}")
    return report.judged


def _read(project: Path, version: str, commit: str) -> Record:
    with TemporaryDirectory() as folder:
        at_commit = sources(project, commit, Path(folder))
        examples = sorted(path.parent.name for path in at_commit.glob("examples/*/main.tf"))
        return Record(version, commit, _today().isoformat(), examples, [], snapshot(at_commit / MODULE))


def _closed(project: Path, made: Record) -> dict[str, str]:
    return {
        "CHANGELOG.md": close((project / "CHANGELOG.md").read_text(encoding="utf-8"), made.version, _today()),
        "UPGRADING.md": close_steps((project / "UPGRADING.md").read_text(encoding="utf-8"), made.version),
    }


def _today() -> date:
    return datetime.now(UTC).date()


def refresh(project: Path) -> None:
    """Read all recorded interfaces anew from their commits, where what is recorded of an interface has changed."""
    for one in records(project):
        read = _read(project, one.version, one.commit)
        replace(one, examples=read.examples, interface=read.interface).write(project)


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text} is no version: major.minor.patch, such as 0.2.0")
    return text


def main(arguments: list[str] | None = None, project: Path = PROJECT) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description=__doc__.splitlines()[0] if __doc__ else None
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "check", help="say what changed since the last release, and whether CHANGELOG.md claims as much"
    )
    recording = commands.add_parser(
        "record", help="record a release, and close CHANGELOG.md and UPGRADING.md under its version"
    )
    recording.add_argument("version", type=_version, help="such as 0.2.0")
    recording.add_argument(
        "--commit", default="HEAD", help="the release's sources, HEAD by default; it must be in HEAD's history"
    )
    commands.add_parser("refresh", help="read all recorded interfaces anew from their commits")
    given = parser.parse_args(arguments)
    try:
        if given.command == "record":
            print(
                f"recorded: {FOLDER}/{record(project, given.version, given.commit).version}.json; commit it with CHANGELOG.md"
            )
        elif given.command == "refresh":
            refresh(project)
        else:
            report = check(project)
            print(report)
            return int(bool(report.problems))
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
