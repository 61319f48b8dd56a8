"""The shared engine: reused if one is running, started if permitted, stopped by its last user."""

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
from sandbox.lock import machine_lock
from sandbox.paths import ROOT
from sandbox.progress import Step


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_missing_engine_without_root_says_what_to_install(nothing_installed: None, tmp_path: Path) -> None:
    assert engines.find() is None
    with pytest.raises(SandboxError, match=r"no Docker engine is running[\s\S]*docs\.docker\.com"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_engine_in_docker_host_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    monkeypatch.setattr(packages, "may_install", lambda: True)
    with pytest.raises(SandboxError, match="no Docker engine is running"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_packages_are_installed_only_by_root_on_debian(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages.may_install() is False
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert packages.may_install() is False


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes of stopped engines. The running engine belongs to a sandbox in this test's folder."""
    homes: list[Path] = []
    monkeypatch.setattr(engines, "HOME", tmp_path / "engine")
    monkeypatch.setattr(engines, "find", lambda: Engine("20.10", tmp_path / "engine"))
    monkeypatch.setattr(engines, "_stop", homes.append)
    return homes


def test_last_release_stops_the_engine(stopped: list[Path], tmp_path: Path, emulator: Emulator) -> None:
    engines.ensure(emulator.home, Step("Docker engine"))
    engines.ensure(tmp_path / "first", Step("Docker engine"))
    # The other emulator is running, so the engine is in use.
    assert engines.release(tmp_path / "first") is False
    assert stopped == []
    assert engines.release(emulator.home) is True
    assert stopped == [tmp_path / "engine"]


def test_stale_lease_does_not_keep_the_engine(stopped: list[Path], tmp_path: Path) -> None:
    engines.ensure(tmp_path / "died", Step("Docker engine"))
    engines.ensure(tmp_path / "mine", Step("Docker engine"))
    assert engines.release(tmp_path / "mine") is True


def test_engine_without_our_label_is_never_stopped(
    stopped: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find", lambda: Engine("28.0", None))
    engines.ensure(tmp_path, Step("Docker engine"))
    assert engines.release(tmp_path) is False
    assert stopped == []


@pytest.mark.engine
def test_removing_an_image_keeps_other_sandboxes_tags(base_image: BaseImage) -> None:
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
def test_remove_containers_affects_one_emulator_only(base_image: BaseImage) -> None:
    names = {}
    for instance in ("here:1", "here:2"):
        label = f"{INSTANCE_LABEL}={instance}"
        names[instance] = engines.docker("create", "--label", label, base_image.reference, "none").strip()
    try:
        assert engines.remove_containers("here:1") == 1
        assert engines.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={names['here:2']}") != ""
    finally:
        assert engines.remove_containers("here:2") == 1


def test_docker_clients_error_is_in_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'permission denied' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(packages, "may_install", lambda: False)
    with pytest.raises(SandboxError, match="The Docker client printed: permission denied"):
        engines.ensure(tmp_path, Step("Docker engine"))


def test_files_of_a_running_engine_are_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client uses another engine, but this one's process is running.
    home = tmp_path / "engine"
    (home / "data").mkdir(parents=True)
    monkeypatch.setattr(engines, "HOME", home)
    monkeypatch.setattr(engines, "find", lambda: Engine("28.0", None))
    # The shell itself waits: a forked child would briefly have the label too.
    command = ["sh", "-c", "read line", engines._label(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        while not engines._processes(engines._label(home)):
            pass  # /proc shows a new program's arguments with a delay
        assert engines.release(tmp_path) is False
        assert (home / "data").exists()
        running.kill()
    assert engines.release(tmp_path) is False
    assert not home.exists()


def test_machine_lock_is_exclusive_across_processes() -> None:
    program = "from sandbox.lock import machine_lock\nwith machine_lock(): print('in', flush=True)"
    with machine_lock():
        other = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.communicate(timeout=0.5)
    assert other.communicate(timeout=30)[0] == "in\n"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="makes network interfaces, as root")
def test_bridge_of_a_killed_engine_is_removed_before_the_next_start(tmp_path: Path) -> None:
    bridge, port, far = (f"lca{os.getpid()}{kind}" for kind in "bpf")
    namespace = tmp_path / "netns/container"
    namespace.parent.mkdir()
    namespace.touch()
    commands = [
        ["ip", "link", "add", bridge, "type", "bridge"],
        ["ip", "link", "add", port, "type", "veth", "peer", "name", far],
        ["ip", "link", "set", port, "master", bridge],
        # A dead container's network namespace is kept alive by a mount.
        ["unshare", f"--net={namespace}", "true"],
        ["ip", "link", "set", far, "netns", str(namespace)],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    engines._remove_leftovers(bridge, tmp_path / "netns")
    assert [name for name in (bridge, port, far) if Path("/sys/class/net", name).exists()] == []
    assert not os.path.ismount(namespace)


@pytest.mark.parametrize(
    ("group", "setting"), [("cpu", "cpu/docker/cpu.shares"), ("", "docker/cpu.weight")], ids=["version 1", "version 2"]
)
def test_containers_get_more_cpu_than_one_process(tmp_path: Path, group: str, setting: str) -> None:
    (tmp_path / group).mkdir(exist_ok=True)
    (tmp_path / group / "cgroup.procs").touch()
    engines._give_containers_cpu(tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "cgroup.procs"]
    assert [str(path.relative_to(tmp_path)) for path in written] == [setting]
    default = 1024 if setting.endswith("shares") else 100
    assert int(written[0].read_text()) == 16 * default


def test_machine_without_control_groups_is_left_alone(tmp_path: Path) -> None:
    engines._give_containers_cpu(tmp_path)
    assert [*tmp_path.iterdir()] == []
