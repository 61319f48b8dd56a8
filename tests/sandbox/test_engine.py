"""The engine is shared: used where one runs, named where none may be started, stopped by the last who leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import engine as engines
from sandbox import packages
from sandbox.base_image import BaseImage
from sandbox.emulator import INSTANCE_LABEL, Emulator
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.lock import alone
from sandbox.paths import ROOT
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
    monkeypatch.setattr(engines, "HOME", tmp_path / "engine")
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


@pytest.mark.engine
def test_two_sandboxes_with_the_same_image_do_not_take_it_from_each_other(base_image: BaseImage) -> None:
    for name in ("localhost:1/people-api:a", "localhost:1/people-api:b", "localhost:2/people-api:a"):
        engines.docker("tag", base_image.reference, name)
    try:
        assert engines.remove_images("localhost:1/") == 1
        assert engines.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "localhost:1/people-api") == ""
        assert engines.docker("images", "--quiet", "localhost:2/people-api") != ""
        assert engines.remove_images("localhost:1/") == 0
    finally:
        engines.remove_images("localhost:2/")
    assert engines.docker("images", "--quiet", base_image.reference) != ""


@pytest.mark.engine
def test_only_the_containers_of_one_emulator_are_removed(base_image: BaseImage) -> None:
    names = {}
    for instance in ("here:1", "here:2"):
        label = f"{INSTANCE_LABEL}={instance}"
        names[instance] = engines.docker("create", "--label", label, base_image.reference, "none").strip()
    try:
        assert engines.remove_containers("here:1") == 1
        assert engines.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={names['here:2']}") != ""
    finally:
        assert engines.remove_containers("here:2") == 1


def test_what_the_docker_client_said_is_in_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'permission denied' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(packages, "may_install", lambda: False)
    with pytest.raises(SandboxError, match="The Docker client says: permission denied"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_files_of_an_engine_that_still_runs_elsewhere_are_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client is set to another engine, or to none that answers; this one's process is there.
    home = tmp_path / "engine"
    (home / "data").mkdir(parents=True)
    monkeypatch.setattr(engines, "HOME", home)
    monkeypatch.setattr(engines, "find", lambda: Engine("28.0", None))
    # A shell that waits by itself: a child of its would carry the label, too, until it is another program.
    waits = ["sh", "-c", "read line", engines._label(home)]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as running:
        while not engines._processes(engines._label(home)):
            pass  # the kernel shows a new program's arguments a moment later
        assert engines.release(tmp_path) is False
        assert (home / "data").exists()
        running.kill()
    assert engines.release(tmp_path) is False
    assert not home.exists()


def test_one_sandbox_of_the_machine_at_a_time_changes_what_they_share() -> None:
    program = "from sandbox.lock import alone\nwith alone(): print('in', flush=True)"
    with alone():
        other = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.communicate(timeout=0.5)
    assert other.communicate(timeout=30)[0] == "in\n"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="makes network interfaces, as root")
def test_what_a_killed_engine_left_on_its_bridge_is_gone_before_the_next_starts(tmp_path: Path) -> None:
    bridge, port, far = (f"lca{os.getpid()}{kind}" for kind in "bpf")
    namespace = tmp_path / "netns/container"
    namespace.parent.mkdir()
    namespace.touch()
    commands = [
        ["ip", "link", "add", bridge, "type", "bridge"],
        ["ip", "link", "add", port, "type", "veth", "peer", "name", far],
        ["ip", "link", "set", port, "master", bridge],
        # What holds a dead container's network: a mount of its namespace.
        ["unshare", f"--net={namespace}", "true"],
        ["ip", "link", "set", far, "netns", str(namespace)],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    engines._remove_remains(bridge, tmp_path / "netns")
    assert [name for name in (bridge, port, far) if Path("/sys/class/net", name).exists()] == []
    assert not os.path.ismount(namespace)
