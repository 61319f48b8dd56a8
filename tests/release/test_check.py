"""CHANGELOG.md must cover the changes, and determines the version with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.release.seeds import BREAKING, FEATURES, FIXES, Seed
from tools.release.__main__ import main
from tools.release.changes import Level
from tools.release.check import JUDGED, check, next_version
from tools.release.errors import ReleaseError

STEPS = "# Upgrading\n\n## Unreleased\n\nDo it.\n"
NARROWED = BREAKING["validation narrowed"]


def write(project: Path, entries: str, steps: str = "# Upgrading\n") -> None:
    changelog = project / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n{entries}", 1))
    (project / "UPGRADING.md").write_text(steps)


@pytest.mark.parametrize(
    ("seed", "entries"),
    [
        (BREAKING["variable removed"], "### Added\n\n- `dashboard` is gone.\n"),
        (FEATURES["variable new and optional"], "### Fixed\n\n- `owner`.\n"),
        (FIXES["message reworded"], ""),
        (FIXES["message reworded"], "### Fixed\n"),
    ],
)
def test_lower_changelog_level_is_refused(seed: Seed, entries: str, project: Path) -> None:
    seed.apply(project)
    write(project, entries)
    assert any("but CHANGELOG.md has" in problem for problem in check(project).problems)
    assert main(["check"], project) == 1


@pytest.mark.parametrize(
    ("seed", "entries", "version"),
    [
        (BREAKING["variable removed"], "### Breaking\n\n- Variable `dashboard` is gone.\n", "0.2.0"),
        (FEATURES["variable new and optional"], "### Added\n\n- Variable `owner`.\n", "0.1.1"),
        (FIXES["message reworded"], "### Fixed\n\n- A message.\n", "0.1.1"),
        (FIXES["message reworded"], "### Breaking\n\n- Another behaviour.\n", "0.2.0"),
    ],
)
def test_equal_or_higher_changelog_level_is_accepted(seed: Seed, entries: str, version: str, project: Path) -> None:
    seed.apply(project)
    write(project, entries, STEPS)
    assert (check(project).problems, check(project).least_version) == ([], version)
    assert main(["check"], project) == 0


def test_breaking_change_must_be_named_under_breaking(project: Path) -> None:
    BREAKING["variable removed"].apply(project)
    write(project, "### Breaking\n\n- Some variables are gone.\n", STEPS)
    assert check(project).problems == ["CHANGELOG.md: Breaking does not name `dashboard`"]


def test_breaking_change_needs_upgrade_steps(project: Path) -> None:
    BREAKING["variable removed"].apply(project)
    write(project, "### Breaking\n\n- Variable `dashboard` is gone.\n")
    assert [problem.split(" has")[0] for problem in check(project).problems] == ["UPGRADING.md"]


def test_removed_section_is_refused(project: Path) -> None:
    write(project, "### Removed\n\n- Variable `dashboard`.\n")
    with pytest.raises(ReleaseError, match="Removals go under Breaking"):
        check(project)


def test_no_change_means_nothing_to_release(project: Path) -> None:
    assert (check(project).problems, check(project).least_version) == ([], None)


def judge(project: Path, change: str, level: str = "feature") -> None:
    (project / JUDGED).write_text(yaml.safe_dump([{"change": change, "level": level, "reason": "It is wider."}]))


def test_level_of_a_changed_condition_can_be_overridden(project: Path) -> None:
    NARROWED.apply(project)
    judge(project, str(check(project).changes[0]))
    assert check(project).level is Level.FEATURE


def test_level_of_a_provider_range_can_be_overridden(project: Path) -> None:
    BREAKING["provider's range narrower"].apply(project)
    assert check(project).level is Level.BREAKING
    judge(project, str(check(project).changes[0]), level="fix")
    assert check(project).level is Level.FIX


def test_level_of_a_removal_cannot_be_overridden(project: Path) -> None:
    BREAKING["variable removed"].apply(project)
    judge(project, "dashboard: removed")
    assert check(project).level is Level.BREAKING
    assert any("cannot be overridden" in problem for problem in check(project).problems)


def test_stale_judgement_is_refused(project: Path) -> None:
    judge(project, "function: a refusal has another condition")
    assert any("not a change" in problem for problem in check(project).problems)


def test_invalid_judgement_is_refused(project: Path) -> None:
    judge(project, "function: a refusal", level="harmless")
    with pytest.raises(ReleaseError, match="each entry must have change, level"):
        check(project)


@pytest.mark.parametrize(
    ("version", "level", "minimum"),
    [
        ("0.1.0", Level.BREAKING, "0.2.0"),
        ("0.1.0", Level.FEATURE, "0.1.1"),
        ("0.1.0", Level.FIX, "0.1.1"),
        ("1.2.3", Level.BREAKING, "2.0.0"),
        ("1.2.3", Level.FEATURE, "1.3.0"),
        ("1.2.3", Level.FIX, "1.2.4"),
    ],
)
def test_next_version(version: str, level: Level, minimum: str) -> None:
    assert next_version(version, level) == minimum
