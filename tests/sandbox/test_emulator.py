"""The emulator as a process: found again, told apart from others, and never mistaken for somebody else's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import emulator as emulators
from sandbox import paths
from sandbox.emulator import Emulator
from sandbox.errors import SandboxError


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    yield emulators.start(tmp_path / "own", emulators.free_port())
    emulators.stop(tmp_path / "own")


def test_starting_twice_finds_the_one_that_runs(own: Emulator) -> None:
    pid = (own.home / "emulator.pid").read_text()
    assert emulators.start(own.home, own.port) == own
    assert (own.home / "emulator.pid").read_text() == pid


def test_two_emulators_do_not_meet(own: Emulator, emulator: Emulator) -> None:
    own.client("logs").create_log_group(logGroupName="only-here")
    groups = emulator.client("logs").describe_log_groups(logGroupNamePrefix="only-here")
    assert groups["logGroups"] == []
    assert own.instance != emulator.instance


def test_stopping_frees_the_port_and_may_be_repeated(own: Emulator) -> None:
    assert emulators.stop(own.home) is True
    assert emulators.running(own.home) is None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0
    assert emulators.stop(own.home) is False


def environment_of(emulator: Emulator) -> dict[str, str]:
    pid = (emulator.home / "emulator.pid").read_text().split()[0]
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(word.split("=", 1) for word in words if word)


def test_it_writes_in_its_folder_only(own: Emulator) -> None:
    assert not Path(f"/tmp/ministack-{own.port}.pid").exists()  # noqa: S108 - where it would write by itself
    for name in ("S3_DATA_DIR", "STATE_DIR", "TMPDIR"):
        assert Path(environment_of(own)[name]).is_relative_to(own.home)
    emulators.stop(own.home)
    assert sorted(path.name for path in own.home.iterdir()) == ["emulator.log"]


def test_a_persons_account_and_settings_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = {"AWS_PROFILE": "production", "PERSIST_STATE": "1", "SERVICES": "s3", "LAMBDA_STRICT": "1"}
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    started = emulators.start(tmp_path, emulators.free_port())
    try:
        assert not environment_of(started).keys() & strange.keys()
    finally:
        emulators.stop(tmp_path)


def test_commands_for_it_run_without_a_persons_account_and_other_projects_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("AWS_PROFILE", "AWS_ENDPOINT_URL_DYNAMODB", "TF_VAR_name", "TF_WORKSPACE", "TF_CLI_ARGS_apply")
    for name in (*names, "TF_CLOUD_ORGANIZATION", "TF_ENCRYPTION", "TF_DATA_DIR"):
        monkeypatch.setenv(name, "strange")
    # Where the person's Terraform finds its providers is good for the sandbox, too.
    for name in ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"):
        monkeypatch.setenv(name, "kept")
    assert "strange" not in emulators.neutral_environment().values()
    assert list(emulators.neutral_environment().values()).count("kept") == 2
    assert emulators.neutral_environment()["PATH"] == os.environ["PATH"]


def test_another_sandboxs_emulator_under_a_stale_pid_is_never_killed(own: Emulator, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(own.home / "emulator.pid", other)
    assert emulators.running(other) is None
    assert emulators.stop(other) is False
    assert own.get("/_ministack/health")[0] == 200


def test_a_stale_pid_of_another_program_is_never_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (tmp_path / "emulator.pid").write_text(f"{innocent.pid} 4566\n")
        assert emulators.running(tmp_path) is None
        assert emulators.stop(tmp_path) is False
        assert innocent.poll() is None
        innocent.kill()


@pytest.mark.parametrize("content", ["", "nonsense", "1", f"{2**22 + 1} 4566"])
def test_a_broken_pid_file_means_that_none_runs(tmp_path: Path, content: str) -> None:
    (tmp_path / "emulator.pid").write_text(content)
    assert emulators.running(tmp_path) is None


def test_a_port_in_use_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"port {port} is in use .* name another port: PORT=\d+$"):
            emulators.start(tmp_path, port)


def test_an_emulator_that_is_not_installed_is_named_with_the_make_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(SandboxError, match=r"the emulator is not installed: run `make \.venvs/emulator/\.ready` first"):
        emulators.start(tmp_path / "home", emulators.free_port())
    assert not (tmp_path / "home").exists()


def test_its_environment_points_every_client_at_it_and_holds_no_real_credentials(own: Emulator) -> None:
    environment = own.environment()
    assert environment["AWS_ENDPOINT_URL"] == f"http://localhost:{own.port}"
    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "test"
    assert not environment.keys() - os.environ.keys() - {k for k in environment if k.startswith("AWS_")}
