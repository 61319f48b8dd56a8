"""The emulator as a process: found again, told apart from others, and never mistaken for somebody else's."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox import emulator as emulators
from sandbox.emulator import REGION, Emulator
from sandbox.errors import SandboxError


def dynamodb(emulator: Emulator) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=emulator.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    yield emulators.start(tmp_path / "own", emulators.free_port())
    emulators.stop(tmp_path / "own")


def test_starting_twice_finds_the_one_that_runs(own: Emulator) -> None:
    pid = (own.home / "emulator.pid").read_text()
    assert emulators.start(own.home, own.port) == own
    assert (own.home / "emulator.pid").read_text() == pid


def test_two_emulators_do_not_meet(own: Emulator, emulator: Emulator) -> None:
    dynamodb(own).create_table(
        TableName="only-here",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    assert "only-here" not in dynamodb(emulator).list_tables()["TableNames"]
    assert own.instance != emulator.instance


def test_stopping_frees_the_port_and_may_be_repeated(own: Emulator) -> None:
    assert emulators.stop(own.home) is True
    assert emulators.running(own.home) is None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0
    assert emulators.stop(own.home) is False


def test_it_leaves_nothing_outside_its_folder(own: Emulator) -> None:
    assert not Path(f"/tmp/ministack-{own.port}.pid").exists()  # noqa: S108 - where it would write by itself


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
        with pytest.raises(SandboxError, match=rf"port {port} is in use .* make up PORT="):
            emulators.start(tmp_path, port)


def test_its_environment_points_every_client_at_it_and_holds_no_real_credentials(own: Emulator) -> None:
    environment = own.environment()
    assert environment["AWS_ENDPOINT_URL"] == f"http://localhost:{own.port}"
    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "test"
    assert not environment.keys() - os.environ.keys() - {k for k in environment if k.startswith("AWS_")}
