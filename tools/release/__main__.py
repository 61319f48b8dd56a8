"""Compare the module's interface with the last release, and record releases.

    python -m tools.release check
    python -m tools.release record VERSION [--commit COMMIT]
    python -m tools.release notes VERSION
    python -m tools.release refresh

The process is in docs/releasing.md. Exit code 1, with the reasons, means refused.
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
from tools import policy_interface

from .changelog import close, close_steps, notes
from .check import JUDGED, check
from .errors import ReleaseError
from .interface import snapshot
from .records import FOLDER, MODULE, Record, git, records, sources

SOURCES = EXAMPLE_SOURCES
# Name the last release: `?ref=v0.2.0`, `--branch v0.2.0`, `@v0.2.0`, or `version = "0.2.0"`.
PINNED = ("README.md", "docs/*.md", "modules/*/README.md", "examples/**/*.md", "examples/**/*.yml", "*/pyproject.toml")
NOTHING_JUDGED = (
    "# Judgements for the next release, on changes that release-check cannot classify: see docs/releasing.md.\n[]\n"
)


def record(project: Path, version: str, commit: str) -> Record:
    """Record a commit as a release, and close CHANGELOG.md and UPGRADING.md. ReleaseError when it must not be released."""
    commit = git(project, "rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
    if commit not in git(project, "rev-list", "HEAD").decode().split():
        raise ReleaseError(f"{commit[:7]} is not in HEAD's history, and a release's sources must stay reachable")
    earlier = records(project)
    if open_changes := git(project, "status", "--porcelain", "--", *SOURCES).decode():
        raise ReleaseError(f"uncommitted changes cannot be released:\n{open_changes}")
    new = _read(project, version, commit)
    if new.interface != snapshot(project / MODULE):
        raise ReleaseError(
            f"the module at {commit[:7]} has another interface than the working tree, which CHANGELOG.md describes"
        )
    if earlier:
        new = replace(new, judged=_releasable(project, version))
    new.write(project)
    (project / JUDGED).write_text(NOTHING_JUDGED, encoding="utf-8")
    for name, text in _closed(project, new).items():
        (project / name).write_text(text, encoding="utf-8")
    if earlier:
        _repin(project, earlier[-1].version, version)
    (project / policy_interface.PATH).write_text(policy_interface.render(project), encoding="utf-8")
    return new


def _repin(project: Path, old: str, version: str) -> None:
    """Replace the last release's version where the documentation, callers and packages name it."""
    for file in (file for pattern in PINNED for file in project.glob(pattern)):
        text = file.read_text(encoding="utf-8")
        pinned = text.replace(f"v{old}", f"v{version}").replace(f'\nversion = "{old}"\n', f'\nversion = "{version}"\n')
        if pinned != text:
            file.write_text(pinned, encoding="utf-8")


def _releasable(project: Path, version: str) -> list[dict[str, str]]:
    """Return the judgements for a release; ReleaseError when it must not have this version."""
    report = check(project)
    if report.problems:
        raise ReleaseError(str(report))
    if report.least_version is None:
        raise ReleaseError(f"nothing has changed since {report.record.version}, neither the interface nor CHANGELOG.md")
    if Version(version) < Version(report.least_version):
        raise ReleaseError(f"{version} is too low: it must be at least {report.least_version}.\n{report}")
    return report.judged


def _read(project: Path, version: str, commit: str) -> Record:
    with TemporaryDirectory() as folder:
        at_commit = sources(project, commit, Path(folder))
        examples = sorted(path.parent.name for path in at_commit.glob("examples/*/main.tf"))
        return Record(version, commit, _today().isoformat(), examples, [], snapshot(at_commit / MODULE))


def _closed(project: Path, new: Record) -> dict[str, str]:
    return {
        "CHANGELOG.md": close((project / "CHANGELOG.md").read_text(encoding="utf-8"), new.version, _today()),
        "UPGRADING.md": close_steps((project / "UPGRADING.md").read_text(encoding="utf-8"), new.version),
    }


def _today() -> date:
    return datetime.now(UTC).date()


def refresh(project: Path) -> None:
    """Record all interfaces again from their commits. Needed when the recorded data change."""
    for existing in records(project):
        read = _read(project, existing.version, existing.commit)
        replace(existing, examples=read.examples, interface=read.interface).write(project)


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text} is not a version: use major.minor.patch, such as 0.2.0")
    return text


def main(arguments: list[str] | None = None, project: Path = PROJECT) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description=__doc__.splitlines()[0] if __doc__ else None
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "check", help="list the changes since the last release, and check that CHANGELOG.md covers them"
    )
    recording = commands.add_parser(
        "record", help="record a release, and move the unreleased parts of CHANGELOG.md and UPGRADING.md to its version"
    )
    recording.add_argument("version", type=_version, help="such as 0.2.0")
    recording.add_argument(
        "--commit", default="HEAD", help="commit of the release, by default HEAD; it must be in HEAD's history"
    )
    noting = commands.add_parser("notes", help="print a release's part of CHANGELOG.md")
    noting.add_argument("version", type=_version, help="such as 0.2.0")
    commands.add_parser("refresh", help="record all interfaces again from their commits")
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "record":
            print(
                f"recorded: {FOLDER}/{record(project, parsed.version, parsed.commit).version}.json; commit it with CHANGELOG.md"
            )
        elif parsed.command == "notes":
            print(notes((project / "CHANGELOG.md").read_text(encoding="utf-8"), parsed.version))
        elif parsed.command == "refresh":
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
