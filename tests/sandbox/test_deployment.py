"""The working copy follows its sources and keeps Terraform's files; Terraform's errors reach the user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import deployment
from sandbox.deployment import Deployment
from sandbox.emulator import Emulator
from sandbox.errors import SandboxError
from sandbox.progress import Step


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, text in {"main.tf": "a", "app/one.py": "1", "app/two.py": "2", "app/__pycache__/one.pyc": "x"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_copy_equals_its_source_without_working_files(source: Path, tmp_path: Path) -> None:
    (source / "terraform.tfstate").write_text("the user's own")
    deployment.synchronise(source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == {"main.tf": "a", "app/one.py": "1", "app/two.py": "2"}


def test_copy_follows_edits_and_removals_and_keeps_terraforms_files(source: Path, tmp_path: Path) -> None:
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


def test_file_may_become_a_folder_and_broken_symlinks_are_skipped(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    deployment.synchronise(source, copy)
    (source / "app/one.py").unlink()
    (source / "app/one.py").mkdir()
    (source / "app/one.py/inner").write_text("i")
    (source / ".#main.tf").symlink_to("nowhere")
    deployment.synchronise(source, copy)
    assert tree(copy) == {"main.tf": "a", "app/one.py/inner": "i", "app/two.py": "2"}


def test_file_mode_is_copied(source: Path, tmp_path: Path) -> None:
    deployment.synchronise(source, tmp_path / "copy")
    (source / "app/one.py").chmod(0o755)
    deployment.synchronise(source, tmp_path / "copy")
    assert (tmp_path / "copy/app/one.py").stat().st_mode & 0o777 == 0o755


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Deployment]:
    """A deployment with a fake Terraform, a shell script for `apply` and one for `init`."""

    def make(script: str, init: str = "exit 0") -> Deployment:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/terraform").write_text(f'#!/bin/sh\nif [ "$1" = init ]; then\n{init}\nfi\n{script}\n')
        (tmp_path / "bin/terraform").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
        return Deployment(tmp_path, Emulator(1, tmp_path), {})

    return make


DIAGNOSTIC = '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"no such role","detail":"look it up"}}'


def test_failed_apply_reports_terraforms_error_and_the_build_log(
    failing: Callable[..., Deployment],
) -> None:
    deployed = failing(f"echo 'ERROR: line 3 failed' > build.log\necho '{DIAGNOSTIC}'\nexit 1")
    with pytest.raises(SandboxError) as refused:
        deployment.apply(deployed, Step("apply"))
    for part in ("no such role", "look it up", "ERROR: line 3 failed", str(deployed.root / "build.log")):
        assert part in str(refused.value)


def test_log_of_an_earlier_build_is_not_shown(failing: Callable[..., Deployment]) -> None:
    deployed = failing(f"echo '{DIAGNOSTIC}'\nexit 1")
    (deployed.root / "build.log").write_text("ERROR: yesterday")
    os.utime(deployed.root / "build.log", (0, 0))
    with pytest.raises(SandboxError) as refused:
        deployment.apply(deployed, Step("apply"))
    assert "yesterday" not in str(refused.value)


def test_crash_of_terraform_is_reported(failing: Callable[..., Deployment]) -> None:
    with pytest.raises(SandboxError, match="panic: out of tape"):
        deployment.apply(failing("echo 'panic: out of tape'\nexit 2"), Step("apply"))


LOCKED = '[ -e .terraform.lock.hcl ] && echo "no available releases match" >&2 && exit 1\nexit 0'


def test_unavailable_locked_provider_versions_are_replaced(
    failing: Callable[..., Deployment], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = failing("exit 0", init=LOCKED)
    (deployed.root / ".terraform.lock.hcl").write_text("lock")
    deployment.apply(deployed, Step("apply"))
    assert "selecting new ones" in capsys.readouterr().out


def test_failed_init_without_a_lock_file_is_reported(failing: Callable[..., Deployment]) -> None:
    with pytest.raises(SandboxError, match=r"terraform init failed:\nno network"):
        deployment.apply(failing("exit 0", init="echo no network >&2; exit 1"), Step("apply"))


def test_exports_set_the_variables_and_unset_the_users_own() -> None:
    code = deployment.exports({"AWS_ENDPOINT_URL": "http://localhost:1", "TF_VAR_text": "it's $HOME"})
    users = {"PATH": os.environ["PATH"], "AWS_PROFILE": "work", "TF_VAR_name": "own", "KEPT": "yes"}
    command = ["bash", "-ec", code + "env"]
    result = subprocess.run(command, env=users, capture_output=True, text=True, check=True)
    variables = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert (
        variables.items()
        >= {"AWS_ENDPOINT_URL": "http://localhost:1", "TF_VAR_text": "it's $HOME", "KEPT": "yes"}.items()
    )
    assert variables.keys().isdisjoint({"AWS_PROFILE", "TF_VAR_name"})


def test_exports_work_without_variables_of_the_user() -> None:
    command = ["bash", "-euc", deployment.exports({}) + "echo done"]
    assert (
        subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
        == "done\n"
    )
