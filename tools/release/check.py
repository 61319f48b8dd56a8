"""What the next release is at least, and whether CHANGELOG.md says so."""

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
    """The comparison of a working tree with its last release. `problems` are the reasons to refuse it."""

    record: Record
    interface: dict[str, Any]
    changes: list[Change]
    claim: Claim
    judged: list[dict[str, str]]
    problems: list[str]

    @property
    def level(self) -> Level | None:
        """The gravest of the changes, None when the interface is the same."""
        return max((change.level for change in self.changes), default=None)

    @property
    def least_version(self) -> str | None:
        """The least version that may be released: by the changes, or by what is claimed if that is more."""
        stated = [level for level in (self.level, self.claim.level) if level is not None]
        return next_version(self.record.version, max(stated)) if stated else None

    def __str__(self) -> str:
        lines = [f"Interface compared with {self.record.version} ({self.record.commit[:7]}, {self.record.date}):"]
        lines += [f"  {change.level!s:8}  {change}" for change in self.changes] or ["  the same"]
        lines.append(f"By its interface: {_said(self.level)}. By CHANGELOG.md: {_said(self.claim.level)}.")
        lines.append(f"Next release: {self.least_version} at least." if self.least_version else "Nothing to release.")
        return "\n".join([*lines, *(f"REFUSED: {problem}" for problem in self.problems)])


def check(project: Path) -> Report:
    """Compare the project's module with its last recorded release. ReleaseError when that cannot be done."""
    record = last(project)
    interface = snapshot(project / MODULE)
    judged = _judgements(project)
    changes = _apply(judged, compare(record.interface, interface))
    claimed = claim((project / "CHANGELOG.md").read_text(encoding="utf-8"))
    steps = has_steps((project / "UPGRADING.md").read_text(encoding="utf-8"))
    problems = [*_stale(judged, changes), *_unclaimed(changes, claimed, steps=steps)]
    return Report(record, interface, changes, claimed, judged, problems)


def next_version(version: str, level: Level) -> str:
    """Return the least version after a release. Before 1.0.0, breaking raises the minor and everything else the patch."""
    major, minor, patch = (int(number) for number in version.split("."))
    if level is Level.BREAKING:
        return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"
    if level is Level.FEATURE and major:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def _judgements(project: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load((project / JUDGED).read_text(encoding="utf-8")) or []
    for entry in found:
        if entry.keys() != {"change", "level", "reason"} or entry["level"].upper() not in Level.__members__:
            raise ReleaseError(
                f"{JUDGED}: each entry has change, level (fix, feature, breaking) and reason; this has not: {entry}"
            )
    return found


def _apply(judged: list[dict[str, str]], changes: Iterable[Change]) -> list[Change]:
    levels = {entry["change"]: Level[entry["level"].upper()] for entry in judged}
    return [
        replace(change, level=levels[str(change)]) if change.arguable and str(change) in levels else change
        for change in changes
    ]


def _stale(judged: list[dict[str, str]], changes: list[Change]) -> list[str]:
    arguable = {str(change) for change in changes if change.arguable}
    return [
        f"{JUDGED} judges what is no change, or one that is not open to judgement: {entry['change']}"
        for entry in judged
        if entry["change"] not in arguable
    ]


def _unclaimed(changes: list[Change], claimed: Claim, *, steps: bool) -> list[str]:
    problems = []
    level = max((change.level for change in changes), default=None)
    if level is not None and (claimed.level is None or claimed.level < level):
        problems.append(f"this is {_said(level)}, and CHANGELOG.md claims {_said(claimed.level)} under [Unreleased]")
    breaking = sorted({change.subject for change in changes if change.level is Level.BREAKING})
    if unnamed := [subject for subject in breaking if f"`{subject}`" not in claimed.breaking]:
        problems.append(f"CHANGELOG.md: Breaking does not name {', '.join(f'`{subject}`' for subject in unnamed)}")
    if claimed.level is Level.BREAKING and not steps:
        problems.append("UPGRADING.md says under `## Unreleased` nothing of what callers must do")
    return problems


def _said(level: Level | None) -> str:
    return {None: "nothing", Level.FIX: "a fix", Level.FEATURE: "a feature", Level.BREAKING: "breaking"}[level]
