"""The sandbox's commands: errors, partial sandboxes and removal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from sandbox import base_image, cli, engine, removal
from sandbox import emulator as emulators
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.paths import ROOT, SANDBOXES


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_invalid_port_is_refused_with_the_limits(port: str) -> None:
    refused = command("up", f"--port={port}")
    assert refused.returncode == 2
    assert "a number from 1 to 65535" in refused.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104 - another program may
def test_up_fails_first_if_the_port_is_in_use(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with socket.create_server((address, 0), family=family) as other:
        port = other.getsockname()[1]
        refused = command("up", f"--port={port}")
    assert refused.returncode == 1
    assert f"port {port} is in use, and the emulator needs it" in refused.stderr
    assert "choose another port: PORT=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_up_fails_first_if_terraform_is_too_old(tmp_path: Path) -> None:
    (tmp_path / "terraform").write_text("#!/bin/sh\necho Terraform v1.5.7\n")
    (tmp_path / "terraform").chmod(0o755)
    port = emulators.free_port()
    refused = command("up", f"--port={port}", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "Terraform 1.5.7 is too old: the module needs 1.9 or newer" in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_url_without_a_sandbox_is_an_error() -> None:
    refused = command("url", f"--port={emulators.free_port()}")
    assert refused.returncode == 1
    assert "run `make up`" in refused.stderr


def test_token_without_a_sandbox_is_an_error() -> None:
    refused = command("token", f"--port={emulators.free_port()}")
    assert refused.returncode == 1
    assert "run `make up`" in refused.stderr


def test_down_without_a_sandbox_succeeds(emulator: Emulator) -> None:
    done = command("down", f"--port={emulators.free_port()}")
    assert done.returncode == 0, done.stderr
    assert "no emulator was running" in done.stdout


@pytest.fixture
def partial() -> Iterator[Emulator]:
    """A sandbox with only an emulator."""
    port = emulators.free_port()
    home = SANDBOXES / str(port)
    yield emulators.start(home, port)
    removal.remove(home, port)


def test_down_removes_only_its_own_partial_sandbox(partial: Emulator, emulator: Emulator) -> None:
    done = command("down", f"--port={partial.port}")
    assert done.returncode == 0, done.stderr
    assert "emulator stopped" in done.stdout
    assert emulator.home.name in done.stdout  # the one that is still running is named
    assert not partial.home.exists()
    assert emulators.running(emulator.home) == emulator.port


def test_emulator_is_seen_by_every_clone(emulator: Emulator) -> None:
    assert emulators.any_running()
    # No other process, such as this one, looks like an emulator.
    own = Path("/proc/self/environ").read_bytes()
    assert b"MINISTACK_REGION=" not in own


def test_down_removes_a_sandbox_after_a_reboot(partial: Emulator) -> None:
    pid = int((partial.home / "emulator.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    while emulators.running(partial.home):
        time.sleep(0.05)
    done = command("down", f"--port={partial.port}")
    assert done.returncode == 0, done.stderr
    assert not partial.home.exists()


@pytest.mark.parametrize(
    ("owner", "others", "removed"),
    [
        pytest.param(None, False, 1, id="another engine, last sandbox"),
        pytest.param(None, True, 0, id="another engine, another sandbox"),
        pytest.param(Path("engine"), False, 0, id="a sandbox's engine, in use by another clone"),
    ],
)
def test_base_image_is_removed_with_the_last_sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: Path | None, others: bool, removed: int
) -> None:
    monkeypatch.setattr(engine, "find", lambda: Engine("28.0", owner))
    monkeypatch.setattr(engine, "release", lambda _: False)
    monkeypatch.setattr(emulators, "any_running", lambda: others)
    monkeypatch.setattr(base_image, "remove", lambda: 1)
    assert removal.remove(tmp_path / "sandbox", None).images == removed


def test_dev_table_has_the_keys_of_the_example() -> None:
    source = (ROOT / "examples/complete/main.tf").read_text()
    table = source[source.index('resource "aws_dynamodb_table" "this"') :]
    keys = {kind.upper(): name for kind, name in re.findall(r'^  (hash|range)_key +\= "(\w+)"', table, re.MULTILINE)}
    assert {key["KeyType"]: key["AttributeName"] for key in cli.TABLE_SCHEMA["KeySchema"]} == keys
    types = re.findall(r'attribute \{\n    name = "(\w+)"\n    type = "(\w)"', table)
    declared = [(a["AttributeName"], a["AttributeType"]) for a in cli.TABLE_SCHEMA["AttributeDefinitions"]]
    assert declared == types


def test_dev_runs_the_service_and_stops_its_emulator() -> None:
    port, own = emulators.free_port(), emulators.free_port()
    home = SANDBOXES / str(port)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "dev", f"--port={port}", f"--service-port={own}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{own}", trust_env=False) as service:
            deadline = time.monotonic() + 60
            while True:
                try:
                    ready = service.get("/readyz")
                    break
                except httpx2.TransportError:
                    assert process.poll() is None, process.communicate()[0]
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert ready.status_code == 200
            body = {"email": "ada@example.com", "name": "Ada"}
            assert service.post("/users", json=body).status_code == 401
            for scopes, status in ((["users:read"], 403), (["users:write"], 201)):
                token = command("token", f"--port={port}", "--scopes", *scopes).stdout.strip()
                response = service.post("/users", json=body, headers={"authorization": f"Bearer {token}"})
                assert response.status_code == status, response.text
            token = command("token", f"--port={port}").stdout.strip()
            for path in ("/users", "/customers"):
                items = service.get(path, headers={"authorization": f"Bearer {token}"}).json()["items"]
                assert len(items) > 1, path  # the seed data
    finally:
        # As Ctrl-C does: to the whole process group.
        os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert f"http://localhost:{own}/docs" in output
    assert f"http://localhost:{port}." in output
    assert f"make --silent token PORT={port}" in output
    assert emulators.running(home) is None
    assert not home.exists()


def test_dev_fails_first_if_the_service_port_is_in_use() -> None:
    port = emulators.free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = other.getsockname()[1]
        refused = command("dev", f"--port={port}", f"--service-port={used}")
    assert refused.returncode == 1
    for part in (f"port {used} is in use, and the service needs it", " SERVICE_PORT=", "(PORT is the emulator's)"):
        assert part in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_dev_refuses_the_emulators_port_for_the_service() -> None:
    port = emulators.free_port()
    refused = command("dev", f"--port={port}", f"--service-port={port}")
    assert refused.returncode == 1
    assert f"port {port} is the emulator's, so the service needs another one: SERVICE_PORT=" in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_test_run_leaves_nothing_behind(tmp_path: Path, kind: signal.Signals) -> None:
    started = tmp_path / "started"
    (tmp_path / "test_waits.py").write_text(
        "import pathlib, time\n\n\ndef test_waits(emulator):\n"
        f"    pathlib.Path({str(started)!r}).write_text(str(emulator.home))\n    time.sleep(60)\n"
    )
    words = ["-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    run = subprocess.Popen(
        [sys.executable, *words, str(tmp_path)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LAMBDA_CONTAINER_API_"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not started.exists() or not started.read_text():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.1)
    home = Path(started.read_text())
    assert emulators.running(home)
    run.send_signal(kind)
    output = run.communicate(timeout=60)[0]
    assert run.returncode == pytest.ExitCode.INTERRUPTED, output
    assert emulators.running(home) is None
    assert not home.exists()
