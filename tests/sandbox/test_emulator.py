"""The emulator's process: reuse, isolation, and pid files."""

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


def test_second_start_returns_the_running_emulator(own: Emulator) -> None:
    pid = (own.home / "emulator.pid").read_text()
    assert emulators.start(own.home, own.port) == own
    assert (own.home / "emulator.pid").read_text() == pid


def test_two_emulators_share_nothing(own: Emulator, emulator: Emulator) -> None:
    own.client("logs").create_log_group(logGroupName="only-here")
    groups = emulator.client("logs").describe_log_groups(logGroupNamePrefix="only-here")
    assert groups["logGroups"] == []
    assert own.instance != emulator.instance


def test_stop_frees_the_port_and_may_be_repeated(own: Emulator) -> None:
    assert emulators.stop(own.home) is True
    assert emulators.running(own.home) is None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0
    assert emulators.stop(own.home) is False


def environment_of(emulator: Emulator) -> dict[str, str]:
    pid = (emulator.home / "emulator.pid").read_text().split()[0]
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(word.split("=", 1) for word in words if word)


def test_emulator_writes_only_to_its_folder(own: Emulator) -> None:
    assert not Path(f"/tmp/ministack-{own.port}.pid").exists()  # noqa: S108 - its default
    for name in ("S3_DATA_DIR", "STATE_DIR", "TMPDIR"):
        assert Path(environment_of(own)[name]).is_relative_to(own.home)
    emulators.stop(own.home)
    assert sorted(path.name for path in own.home.iterdir()) == ["emulator.log"]


def test_emulator_does_not_inherit_credentials_or_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {"AWS_PROFILE": "production", "PERSIST_STATE": "1", "SERVICES": "s3", "LAMBDA_STRICT": "1"}
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    started = emulators.start(tmp_path, emulators.free_port())
    try:
        assert not environment_of(started).keys() & foreign.keys()
    finally:
        emulators.stop(tmp_path)


def test_neutral_environment_has_no_credentials_or_terraform_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("AWS_PROFILE", "AWS_ENDPOINT_URL_DYNAMODB", "TF_VAR_name", "TF_WORKSPACE", "TF_CLI_ARGS_apply")
    for name in (*names, "TF_CLOUD_ORGANIZATION", "TF_ENCRYPTION", "TF_DATA_DIR"):
        monkeypatch.setenv(name, "foreign")
    # The user's provider sources are valid for the sandbox too.
    for name in ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"):
        monkeypatch.setenv(name, "kept")
    assert "foreign" not in emulators.neutral_environment().values()
    assert list(emulators.neutral_environment().values()).count("kept") == 2
    assert emulators.neutral_environment()["PATH"] == os.environ["PATH"]


def test_stale_pid_of_another_emulator_is_never_killed(own: Emulator, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(own.home / "emulator.pid", other)
    assert emulators.running(other) is None
    assert emulators.stop(other) is False
    assert own.get("/_ministack/health")[0] == 200


def test_stale_pid_of_another_program_is_never_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / "emulator.pid").write_text(f"{other.pid} 4566\n")
        assert emulators.running(tmp_path) is None
        assert emulators.stop(tmp_path) is False
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("content", ["", "nonsense", "1", f"{2**22 + 1} 4566"])
def test_invalid_pid_file_means_not_running(tmp_path: Path, content: str) -> None:
    (tmp_path / "emulator.pid").write_text(content)
    assert emulators.running(tmp_path) is None


def test_port_in_use_is_reported_with_an_alternative(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"port {port} is in use, .* choose another port: PORT=\d+$"):
            emulators.start(tmp_path, port)


def test_missing_installation_is_reported_with_the_make_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(SandboxError, match=r"the emulator is not installed: run `make \.venvs/emulator/\.ready` first"):
        emulators.start(tmp_path / "home", emulators.free_port())
    assert not (tmp_path / "home").exists()


def test_environment_points_clients_at_the_emulator_without_real_credentials(own: Emulator) -> None:
    environment = own.environment()
    assert environment["AWS_ENDPOINT_URL"] == f"http://localhost:{own.port}"
    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "test"
    assert not environment.keys() - os.environ.keys() - {k for k in environment if k.startswith("AWS_")}
