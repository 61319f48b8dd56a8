"""What CHANGELOG.md must claim for what has changed, and which version that makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.release.seeds import BREAKING, FEATURES, FIXES, Seed
from tools.release.__main__ import main
from tools.release.changes import Level
from tools.release.check import JUDGED, check, next_version
from tools.release.errors import ReleaseError

STEPS = "# Upgrading\n\n## Unreleased\n\nSay which.\n"
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
def test_less_than_what_changed_is_refused(seed: Seed, entries: str, project: Path) -> None:
    seed.sow(project)
    write(project, entries)
    assert any("CHANGELOG.md claims" in problem for problem in check(project).problems)
    assert main(["check"], project) == 1


@pytest.mark.parametrize(
    ("seed", "entries", "version"),
    [
        (BREAKING["variable removed"], "### Breaking\n\n- Variable `dashboard` is gone.\n", "0.2.0"),
        (FEATURES["variable new and optional"], "### Added\n\n- Variable `owner`.\n", "0.1.1"),
        (FIXES["message reworded"], "### Fixed\n\n- A message.\n", "0.1.1"),
        (FIXES["message reworded"], "### Breaking\n\n- What no interface shows.\n", "0.2.0"),
    ],
)
def test_as_much_as_what_changed_or_more_will_do(seed: Seed, entries: str, version: str, project: Path) -> None:
    seed.sow(project)
    write(project, entries, STEPS)
    assert (check(project).problems, check(project).least_version) == ([], version)
    assert main(["check"], project) == 0


def test_each_breaking_change_is_named_where_callers_read(project: Path) -> None:
    BREAKING["variable removed"].sow(project)
    write(project, "### Breaking\n\n- Some variables are gone.\n", STEPS)
    assert check(project).problems == ["CHANGELOG.md: Breaking does not name `dashboard`"]


def test_a_breaking_change_says_what_to_do(project: Path) -> None:
    BREAKING["variable removed"].sow(project)
    write(project, "### Breaking\n\n- Variable `dashboard` is gone.\n")
    assert [problem.split(" says")[0] for problem in check(project).problems] == ["UPGRADING.md"]


def test_a_removal_is_no_section_of_its_own(project: Path) -> None:
    write(project, "### Removed\n\n- Variable `dashboard`.\n")
    with pytest.raises(ReleaseError, match="A removal goes under Breaking"):
        check(project)


def test_nothing_changed_and_nothing_claimed_is_nothing_to_release(project: Path) -> None:
    assert (check(project).problems, check(project).least_version) == ([], None)


def judge(project: Path, change: str, level: str = "feature") -> None:
    (project / JUDGED).write_text(yaml.safe_dump([{"change": change, "level": level, "reason": "It is wider."}]))


def test_a_person_may_judge_whether_a_refusal_has_become_wider(project: Path) -> None:
    NARROWED.sow(project)
    judge(project, str(check(project).changes[0]))
    assert check(project).level is Level.FEATURE


def test_a_person_may_judge_that_a_provider_version_never_worked(project: Path) -> None:
    BREAKING["provider's range narrower"].sow(project)
    assert check(project).level is Level.BREAKING
    judge(project, str(check(project).changes[0]), level="fix")
    assert check(project).level is Level.FIX


def test_a_removal_is_not_open_to_judgement(project: Path) -> None:
    BREAKING["variable removed"].sow(project)
    judge(project, "dashboard: removed")
    assert check(project).level is Level.BREAKING
    assert any("not open to judgement" in problem for problem in check(project).problems)


def test_a_judgement_of_what_is_no_longer_changed_is_refused(project: Path) -> None:
    judge(project, "function: a refusal has another condition")
    assert any("judges what is no change" in problem for problem in check(project).problems)


def test_a_judgement_of_another_form_is_refused(project: Path) -> None:
    judge(project, "function: a refusal", level="harmless")
    with pytest.raises(ReleaseError, match="each entry has change, level"):
        check(project)


@pytest.mark.parametrize(
    ("version", "level", "least"),
    [
        ("0.1.0", Level.BREAKING, "0.2.0"),
        ("0.1.0", Level.FEATURE, "0.1.1"),
        ("0.1.0", Level.FIX, "0.1.1"),
        ("1.2.3", Level.BREAKING, "2.0.0"),
        ("1.2.3", Level.FEATURE, "1.3.0"),
        ("1.2.3", Level.FIX, "1.2.4"),
    ],
)
def test_least_version(version: str, level: Level, least: str) -> None:
    assert next_version(version, level) == least
