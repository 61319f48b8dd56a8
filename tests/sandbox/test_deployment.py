"""The working copy follows its sources and keeps what Terraform keeps; Terraform itself must be new enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import deployment
from sandbox.errors import SandboxError


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, text in {"main.tf": "a", "app/one.py": "1", "app/two.py": "2", "app/__pycache__/one.pyc": "x"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_copy_equals_its_source_without_what_tools_leave_in_it(source: Path, tmp_path: Path) -> None:
    (source / "terraform.tfstate").write_text("a person's own")
    deployment.synchronise(source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == {"main.tf": "a", "app/one.py": "1", "app/two.py": "2"}


def test_a_copy_follows_edits_and_removals_and_keeps_terraforms_files(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    deployment.synchronise(source, copy)
    kept = {"terraform.tfstate": "state", ".terraform/modules.json": "m", ".terraform.lock.hcl": "l"}
    kept |= {"sandbox_override.tf": "o", "build.log": "b"}
    for name, text in kept.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text)
    (source / "main.tf").write_text("edited")
    (source / "app/two.py").unlink()
    (source / "app/three").mkdir()
    deployment.synchronise(source, copy)
    assert tree(copy) == {"main.tf": "edited", "app/one.py": "1"} | kept


def terraform(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    program = folder / "terraform"
    program.write_text(f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.9.0-rc1", "2.0.0"])
def test_a_terraform_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    terraform(tmp_path, monkeypatch, version)
    assert deployment.require_terraform() == version


@pytest.mark.parametrize("version", ["1.8.5", "0.15.0"])
def test_a_terraform_that_is_too_old_is_refused_with_the_least_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    terraform(tmp_path, monkeypatch, version)
    with pytest.raises(SandboxError, match=rf"Terraform {version} is too old: 1\.9 is the least"):
        deployment.require_terraform()


def test_a_missing_terraform_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="terraform is not on PATH"):
        deployment.require_terraform()
