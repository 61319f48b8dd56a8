"""CHANGELOG.md and UPGRADING.md: read the level of the next release, and close both when it is recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from .changes import Level
from .errors import ReleaseError

SECTIONS = {
    "Breaking": Level.BREAKING,
    "Added": Level.FEATURE,
    "Changed": Level.FEATURE,
    "Deprecated": Level.FEATURE,
    "Fixed": Level.FIX,
    "Security": Level.FIX,
}
UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
STEPS = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """The changelog's level for the next release, None without an entry, and its text under Breaking."""

    level: Level | None
    breaking: str


def claim(changelog: str) -> Claim:
    """Read [Unreleased]; ReleaseError when it is missing or has an unknown section."""
    match = UNRELEASED.search(changelog)
    if match is None:
        raise ReleaseError("CHANGELOG.md has no `## [Unreleased]`, where changes must be listed")
    sections = SECTION.findall(match[1])
    if unknown := {name for name, _ in sections} - SECTIONS.keys():
        raise ReleaseError(
            f"CHANGELOG.md: [Unreleased] has the unknown section {', '.join(sorted(unknown))}; sections are {', '.join(SECTIONS)}. "
            "Removals go under Breaking."
        )
    levels = [SECTIONS[name] for name, text in sections if text.strip()]
    return Claim(max(levels, default=None), "".join(text for name, text in sections if name == "Breaking"))


def close(changelog: str, version: str, day: date) -> str:
    """Return the changelog with the entries under [Unreleased] moved to the version."""
    return changelog.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - {day.isoformat()}\n", 1)


def notes(changelog: str, version: str) -> str:
    """Return the entries of a version, without its heading; ReleaseError when there is none."""
    match = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ReleaseError(f"CHANGELOG.md has no entries for {version}")
    return match[1].strip()


def has_steps(upgrading: str) -> bool:
    """Whether UPGRADING.md has steps for the next release."""
    match = STEPS.search(upgrading)
    return bool(match and match[1].strip())


def close_steps(upgrading: str, version: str) -> str:
    """Return UPGRADING.md with the steps for the next release, if any, under its version."""
    return upgrading.replace("## Unreleased\n", f"## To {version}\n", 1)
