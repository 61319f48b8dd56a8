"""CHANGELOG.md and UPGRADING.md: what the next release is claimed to be, and both closed when it is recorded."""

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
    """What a changelog says of the next release: its level, None without an entry, and the text under Breaking."""

    level: Level | None
    breaking: str


def claim(changelog: str) -> Claim:
    """Read what stands under [Unreleased]; ReleaseError when it is missing or has a section of another name."""
    found = UNRELEASED.search(changelog)
    if found is None:
        raise ReleaseError("CHANGELOG.md has no `## [Unreleased]`: that is where a change is written down")
    sections = SECTION.findall(found[1])
    if strange := {name for name, _ in sections} - SECTIONS.keys():
        raise ReleaseError(
            f"CHANGELOG.md: [Unreleased] has {', '.join(sorted(strange))}; its sections are {', '.join(SECTIONS)}. "
            "A removal goes under Breaking."
        )
    levels = [SECTIONS[name] for name, text in sections if text.strip()]
    return Claim(max(levels, default=None), "".join(text for name, text in sections if name == "Breaking"))


def close(changelog: str, version: str, day: date) -> str:
    """Return the changelog with everything under [Unreleased] put under the version, and nothing under [Unreleased]."""
    return changelog.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - {day.isoformat()}\n", 1)


def has_steps(upgrading: str) -> bool:
    """Tell whether UPGRADING.md says what to do for the next release."""
    found = STEPS.search(upgrading)
    return bool(found and found[1].strip())


def close_steps(upgrading: str, version: str) -> str:
    """Return UPGRADING.md with the steps for the next release, if there are any, under its version."""
    return upgrading.replace("## Unreleased\n", f"## To {version}\n", 1)
