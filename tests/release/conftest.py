"""A project with the current module, recorded as 0.1.0 without changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.paths import ROOT
from tools.release.interface import snapshot
from tools.release.records import FOLDER, MODULE, Record

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n### Added\n\n- All.\n"


@pytest.fixture(scope="session")
def interface() -> dict[str, Any]:
    """The module's current interface."""
    return snapshot(ROOT / MODULE)


@pytest.fixture
def project(tmp_path: Path, interface: dict[str, Any]) -> Path:
    shutil.copytree(ROOT / MODULE, tmp_path / MODULE, ignore=shutil.ignore_patterns(".terraform*"))
    (tmp_path / FOLDER).mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / FOLDER / "judged.yaml").write_text("[]\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "UPGRADING.md").write_text("# Upgrading\n")
    Record("0.1.0", "0" * 40, "2026-01-01", [], [], interface).write(tmp_path)
    return tmp_path
