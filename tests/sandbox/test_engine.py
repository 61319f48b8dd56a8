"""The engine is shared: used where one runs, named where none may be started, stopped by the last who leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox import engine as engines
from sandbox import packages
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.progress import Step


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_an_engine_and_without_rights_the_message_says_what_to_install(
    nothing_installed: None, tmp_path: Path
) -> None:
    assert engines.find() is None
    with pytest.raises(SandboxError, match=r"no Docker engine answers[\s\S]*docs\.docker\.com"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_an_engine_named_by_the_user_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    monkeypatch.setattr(packages, "may_install", lambda: True)
    with pytest.raises(SandboxError, match="no Docker engine answers"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_packages_are_installed_by_root_on_debian_only(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages.may_install() is False
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert packages.may_install() is False


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes of engines that were stopped; the one that runs belongs to a sandbox in this test's folder."""
    homes: list[Path] = []
    monkeypatch.setattr(engines, "find", lambda: Engine("20.10", tmp_path / "engine"))
    monkeypatch.setattr(engines, "_stop", homes.append)
    return homes


def test_the_last_to_leave_stops_the_engine(stopped: list[Path], tmp_path: Path, emulator: Emulator) -> None:
    engines.ensure(emulator.home, Step("Docker engine"))
    engines.ensure(tmp_path / "first", Step("Docker engine"))
    # The other's emulator runs, so the engine is still in use.
    assert engines.release(tmp_path / "first") is False
    assert stopped == []
    assert engines.release(emulator.home) is True
    assert stopped == [tmp_path / "engine"]


def test_a_lease_without_a_running_emulator_keeps_no_engine(stopped: list[Path], tmp_path: Path) -> None:
    engines.ensure(tmp_path / "died", Step("Docker engine"))
    engines.ensure(tmp_path / "mine", Step("Docker engine"))
    assert engines.release(tmp_path / "mine") is True


def test_an_engine_of_somebody_else_is_never_stopped(
    stopped: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find", lambda: Engine("28.0", None))
    engines.ensure(tmp_path, Step("Docker engine"))
    assert engines.release(tmp_path) is False
    assert stopped == []
