"""Recording releases, and the recorded releases of this repository."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.paths import ROOT
from tests.release.seeds import BREAKING, FEATURES, FIXES
from tools.release.__main__ import main
from tools.release.errors import ReleaseError
from tools.release.interface import snapshot
from tools.release.records import MODULE, Record, last, records, sources


def commit(project: Path) -> str:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=project, check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "change")
    return git("rev-parse", "HEAD").strip()


def claim(project: Path, entries: str) -> None:
    path = project / "CHANGELOG.md"
    path.write_text(path.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n{entries}", 1))


def test_record_stores_the_commit_and_closes_changelog_and_upgrading(project: Path) -> None:
    BREAKING["variable removed"].apply(project)
    claim(project, "### Breaking\n\n- Variable `dashboard` is gone.\n")
    (project / "UPGRADING.md").write_text("# Upgrading\n\n## Unreleased\n\nDelete the line.\n")
    head = commit(project)

    assert main(["record", "0.2.0"], project) == 0

    assert (last(project).version, last(project).commit) == ("0.2.0", head)
    assert "dashboard" not in last(project).interface["inputs"]
    changelog = (project / "CHANGELOG.md").read_text()
    assert f"## [Unreleased]\n\n## [0.2.0] - {last(project).date}\n\n### Breaking\n" in changelog
    assert "## To 0.2.0\n\nDelete the line." in (project / "UPGRADING.md").read_text()
    known = json.loads((project / "policies/interface.json").read_text())
    assert "dashboard" in known["0.1.0"]
    assert "dashboard" not in known["0.2.0"]
    assert main(["check"], project) == 0


@pytest.mark.parametrize("version", ["0.1.0", "0.1.1"])
def test_too_low_version_is_refused(version: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    BREAKING["variable removed"].apply(project)
    claim(project, "### Breaking\n\n- Variable `dashboard` is gone.\n")
    (project / "UPGRADING.md").write_text("# Upgrading\n\n## Unreleased\n\nDelete the line.\n")
    commit(project)
    assert main(["record", version], project) == 1
    assert "at least 0.2.0" in capsys.readouterr().err
    assert last(project).version == "0.1.0"


def test_too_low_changelog_level_is_not_recorded(project: Path) -> None:
    FEATURES["variable new and optional"].apply(project)
    commit(project)
    assert main(["record", "0.3.0"], project) == 1


def test_release_without_changes_is_not_recorded(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(project)
    assert main(["record", "0.1.1"], project) == 1
    assert "nothing has changed" in capsys.readouterr().err


def test_uncommitted_changes_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim(project, "### Fixed\n\n- A throttle.\n")
    commit(project)
    api = project / MODULE / "api.tf"
    api.write_text(api.read_text().replace('payload_format_version = "2.0"', 'payload_format_version = "1.0"'))
    assert main(["record", "0.1.1"], project) == 1
    assert "api.tf" in capsys.readouterr().err


def test_older_commit_with_another_interface_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = commit(project)
    FIXES["message reworded"].apply(project)
    claim(project, "### Fixed\n\n- A message.\n")
    commit(project)
    assert main(["record", "0.1.1", "--commit", older], project) == 1
    assert "another interface" in capsys.readouterr().err


def test_commit_outside_heads_history_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stray = commit(project)
    shutil.rmtree(project / ".git" / "refs" / "heads")
    (project / ".git" / "refs" / "heads").mkdir()
    claim(project, "### Fixed\n\n- A message.\n")
    commit(project)
    assert main(["record", "0.1.1", "--commit", stray], project) == 1
    assert "must stay reachable" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["v0.2.0", "0.2", "next"])
def test_invalid_version_is_refused(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["record", version])
    assert "is not a version" in capsys.readouterr().err


def test_missing_commit_error_says_how_to_fetch_it(project: Path, tmp_path: Path) -> None:
    commit(project)
    with pytest.raises(ReleaseError, match=r"git fetch --unshallow.*fetch-depth: 0"):
        sources(project, last(project).commit, tmp_path / "old")


def test_releases_are_ordered_by_version(project: Path) -> None:
    for version in ("0.10.0", "0.9.0"):
        Record(version, "0" * 40, "2026-01-02", [], [], {}).write(project)
    assert [record.version for record in records(project)] == ["0.1.0", "0.9.0", "0.10.0"]


@pytest.mark.parametrize("record", records(ROOT), ids=lambda record: record.version)
def test_recorded_interface_equals_that_of_its_commit(record: Record, tmp_path: Path) -> None:
    assert snapshot(sources(ROOT, record.commit, tmp_path) / MODULE) == record.interface, (
        "run: python -m tools.release refresh"
    )


@pytest.mark.parametrize("record", records(ROOT), ids=lambda record: record.version)
def test_recorded_release_is_in_the_changelog(record: Record) -> None:
    assert f"\n## [{record.version}] - {record.date}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_this_repository_has_a_release() -> None:
    assert records(ROOT)
    assert last(ROOT).examples
