"""The Makefile: few targets, pinned dependencies, and one-line errors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.paths import ROOT

# The targets that the README, docs and pipelines use. `make help` shows exactly these.
TARGETS = ["bench", "check", "dev", "docs", "down", "e2e", "plan", "policy"]
TARGETS += ["scorecard", "test", "token", "tune", "up", "url"]


def make(*words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    # A make that runs these tests passes its own flags on.
    clean = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(
        ["make", *words], cwd=folder, env=clean | environment, capture_output=True, text=True, check=False
    )


def test_help_lists_at_most_fourteen_targets() -> None:
    shown = re.findall(r"^  make (\S+) +\S", make("help").stdout, re.MULTILINE)
    assert sorted(shown) == TARGETS
    assert len(shown) <= 14


def test_lock_pins_every_requirements_file() -> None:
    output = make("--dry-run", "lock").stdout
    compiled = re.findall(r"(\S+)\.in --output-file=(\S+)\.txt", output)
    assert all(source == pinned for source, pinned in compiled)
    sources = [*ROOT.glob("requirements/*.in"), *ROOT.glob("service/*.in")]
    assert sorted(f"{pinned}.in" for _, pinned in compiled) == sorted(str(p.relative_to(ROOT)) for p in sources)


def test_every_requirement_is_pinned_with_hashes() -> None:
    for path in [*ROOT.glob("requirements/*.txt"), *ROOT.glob("service/*.txt")]:
        unpinned = re.findall(r"^(?!#|\s)(?!\S+==\S+.*\\$).+", path.read_text(), re.MULTILINE)
        assert unpinned == [], path.name


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the Makefile and empty requirements files."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("dev", "emulator", "policy"):
        (tmp_path / f"requirements/{name}.txt").touch()
    return tmp_path


def tools(folder: Path, *names: str) -> str:
    """Return a PATH with only these programs."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_missing_python_is_a_one_line_error(bare: Path) -> None:
    refused = make("up", "PYTHON=python9", folder=bare)
    assert refused.stderr.splitlines()[0] == (
        "error: python9 is not on PATH: install Python 3.11 or newer or use another: make PYTHON=python3.12 …"
    )
    assert not (bare / ".venvs").exists()


def test_missing_terraform_is_a_one_line_error(bare: Path) -> None:
    for name in ("dev", "emulator", "policy"):
        (bare / f".venvs/{name}/bin").mkdir(parents=True)
        (bare / f".venvs/{name}/.ready").touch()
    (bare / ".venvs/lint/bin").mkdir(parents=True)
    for name in (".ready", "bin/actionlint"):
        (bare / ".venvs/lint" / name).touch()
    python = bare / ".venvs/dev/bin/python"
    python.write_text("#!/bin/sh\n")  # for release-check, which runs first
    python.chmod(0o755)
    path = tools(bare / "tools", "bash", "make", "sh")

    refused = make("static", folder=bare, PATH=path)

    assert refused.stderr.splitlines()[0] == (
        "error: terraform is not on PATH: install Terraform or OpenTofu 1.9 or newer or use another: make TERRAFORM=tofu …"
    )
