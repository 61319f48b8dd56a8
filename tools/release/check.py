"""The minimum version of the next release, and whether CHANGELOG.md covers the changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from .changelog import Claim, claim, has_steps
from .changes import Change, Level, compare
from .errors import ReleaseError
from .interface import snapshot
from .records import FOLDER, MODULE, Record, last

JUDGED = f"{FOLDER}/judged.yaml"


@dataclass(frozen=True)
class Report:
    """The comparison of a working tree with the last release. `problems` are the errors."""

    record: Record
    interface: dict[str, Any]
    changes: list[Change]
    claim: Claim
    judged: list[dict[str, str]]
    problems: list[str]

    @property
    def level(self) -> Level | None:
        """The highest level of the changes, or None."""
        return max((change.level for change in self.changes), default=None)

    @property
    def least_version(self) -> str | None:
        """The minimum version, from the higher level of changes and changelog; None when there is neither."""
        levels = [level for level in (self.level, self.claim.level) if level is not None]
        return next_version(self.record.version, max(levels)) if levels else None

    def __str__(self) -> str:
        lines = [f"Interface compared with {self.record.version} ({self.record.commit[:7]}, {self.record.date}):"]
        lines += [f"  {change.level!s:8}  {change}" for change in self.changes] or ["  no changes"]
        lines.append(f"Interface: {_named(self.level)}. CHANGELOG.md: {_named(self.claim.level)}.")
        lines.append(f"Next release: at least {self.least_version}." if self.least_version else "Nothing to release.")
        return "\n".join([*lines, *(f"ERROR: {problem}" for problem in self.problems)])


def check(project: Path) -> Report:
    """Compare the project's module with its last recorded release. ReleaseError when that is not possible."""
    record = last(project)
    interface = snapshot(project / MODULE)
    judged = _judgements(project)
    changes = _apply(judged, compare(record.interface, interface))
    claimed = claim((project / "CHANGELOG.md").read_text(encoding="utf-8"))
    steps = has_steps((project / "UPGRADING.md").read_text(encoding="utf-8"))
    problems = [*_stale(judged, changes), *_unclaimed(changes, claimed, steps=steps)]
    return Report(record, interface, changes, claimed, judged, problems)


def next_version(version: str, level: Level) -> str:
    """Return the minimum next version. Before 1.0.0, breaking changes raise minor, all others patch."""
    major, minor, patch = (int(number) for number in version.split("."))
    if level is Level.BREAKING:
        return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
    if level is Level.FEATURE and major:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def _judgements(project: Path) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = yaml.safe_load((project / JUDGED).read_text(encoding="utf-8")) or []
    for entry in entries:
        if entry.keys() != {"change", "level", "reason"} or entry["level"].upper() not in Level.__members__:
            raise ReleaseError(
                f"{JUDGED}: each entry must have change, level (fix, feature, breaking) and reason: {entry}"
            )
    return entries


def _apply(judged: list[dict[str, str]], changes: Iterable[Change]) -> list[Change]:
    levels = {entry["change"]: Level[entry["level"].upper()] for entry in judged}
    return [
        replace(change, level=levels[str(change)]) if change.arguable and str(change) in levels else change
        for change in changes
    ]


def _stale(judged: list[dict[str, str]], changes: list[Change]) -> list[str]:
    arguable = {str(change) for change in changes if change.arguable}
    return [
        f"{JUDGED}: not a change, or its level cannot be overridden: {entry['change']}"
        for entry in judged
        if entry["change"] not in arguable
    ]


def _unclaimed(changes: list[Change], claimed: Claim, *, steps: bool) -> list[str]:
    problems = []
    level = max((change.level for change in changes), default=None)
    if level is not None and (claimed.level is None or claimed.level < level):
        problems.append(
            f"the interface's change is {_named(level)}, but CHANGELOG.md has {_named(claimed.level)} under [Unreleased]"
        )
    breaking = sorted({change.subject for change in changes if change.level is Level.BREAKING})
    if unnamed := [subject for subject in breaking if f"`{subject}`" not in claimed.breaking]:
        problems.append(f"CHANGELOG.md: Breaking does not name {', '.join(f'`{subject}`' for subject in unnamed)}")
    if claimed.level is Level.BREAKING and not steps:
        problems.append("UPGRADING.md has no steps for callers under `## Unreleased`")
    return problems


def _named(level: Level | None) -> str:
    return {None: "nothing", Level.FIX: "a fix", Level.FEATURE: "a feature", Level.BREAKING: "breaking"}[level]
