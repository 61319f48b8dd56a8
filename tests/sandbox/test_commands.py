"""The commands as a person types them: what is refused, what is half-made, and what is taken away."""

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
def test_a_port_that_is_none_is_refused_with_the_limits(port: str) -> None:
    refused = command("up", f"--port={port}")
    assert refused.returncode == 2
    assert "a number from 1 to 65535" in refused.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104 - as another program may
def test_a_port_in_use_stops_up_before_anything_is_made(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with socket.create_server((address, 0), family=family) as other:
        port = other.getsockname()[1]
        refused = command("up", f"--port={port}")
    assert refused.returncode == 1
    assert f"port {port} is in use" in refused.stderr
    assert "name another port: PORT=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_a_terraform_below_the_minimum_stops_up_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "terraform").write_text("#!/bin/sh\necho Terraform v1.5.7\n")
    (tmp_path / "terraform").chmod(0o755)
    port = emulators.free_port()
    refused = command("up", f"--port={port}", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "Terraform 1.5.7 is too old: 1.9 is the least" in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_the_url_of_nothing_says_how_to_make_one() -> None:
    refused = command("url", f"--port={emulators.free_port()}")
    assert refused.returncode == 1
    assert "run `make up`" in refused.stderr


def test_a_token_of_nothing_says_how_to_get_one() -> None:
    refused = command("token", f"--port={emulators.free_port()}")
    assert refused.returncode == 1
    assert "run `make up`" in refused.stderr


def test_down_is_content_with_nothing(emulator: Emulator) -> None:
    done = command("down", f"--port={emulators.free_port()}")
    assert done.returncode == 0, done.stderr
    assert "no emulator ran" in done.stdout


@pytest.fixture
def half_made() -> Iterator[Emulator]:
    """A sandbox of which `up` has made the emulator, and no more."""
    port = emulators.free_port()
    home = SANDBOXES / str(port)
    yield emulators.start(home, port)
    removal.remove(home, port)


def test_down_removes_a_half_made_sandbox_and_no_other(half_made: Emulator, emulator: Emulator) -> None:
    done = command("down", f"--port={half_made.port}")
    assert done.returncode == 0, done.stderr
    assert "emulator stopped" in done.stdout
    assert emulator.home.name in done.stdout  # the one that still runs is named
    assert not half_made.home.exists()
    assert emulators.running(emulator.home) == emulator.port


def test_down_removes_what_a_reboot_has_left(half_made: Emulator) -> None:
    pid = int((half_made.home / "emulator.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    while emulators.running(half_made.home):
        time.sleep(0.05)
    done = command("down", f"--port={half_made.port}")
    assert done.returncode == 0, done.stderr
    assert not half_made.home.exists()


@pytest.mark.parametrize(
    ("owner", "others", "removed"),
    [
        pytest.param(None, [], 1, id="somebody else's engine, and the last sandbox"),
        pytest.param(None, [Path("other")], 0, id="somebody else's engine, and another sandbox"),
        pytest.param(Path("engine"), [], 0, id="a sandbox's engine, which still runs for another clone"),
    ],
)
def test_the_base_image_goes_with_the_last_sandbox_that_used_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: Path | None, others: list[Path], removed: int
) -> None:
    monkeypatch.setattr(engine, "find", lambda: Engine("28.0", owner))
    monkeypatch.setattr(engine, "release", lambda _: False)
    monkeypatch.setattr(removal, "running", lambda: others)
    monkeypatch.setattr(base_image, "remove", lambda: 1)
    assert removal.remove(tmp_path / "sandbox", None).images == removed


def test_devs_table_has_the_keys_of_the_examples() -> None:
    source = (ROOT / "examples/complete/main.tf").read_text()
    table = source[source.index('resource "aws_dynamodb_table" "this"') :]
    keys = {kind.upper(): name for kind, name in re.findall(r'^  (hash|range)_key +\= "(\w+)"', table, re.MULTILINE)}
    assert {key["KeyType"]: key["AttributeName"] for key in cli.TABLE_SCHEMA["KeySchema"]} == keys
    types = re.findall(r'attribute \{\n    name = "(\w+)"\n    type = "(\w)"', table)
    declared = [(a["AttributeName"], a["AttributeType"]) for a in cli.TABLE_SCHEMA["AttributeDefinitions"]]
    assert declared == types


def test_dev_serves_the_service_alone_and_takes_its_emulator_along() -> None:
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
                answer = service.post("/users", json=body, headers={"authorization": f"Bearer {token}"})
                assert answer.status_code == status, answer.text
            token = command("token", f"--port={port}").stdout.strip()
            for path in ("/users", "/customers"):
                listed = service.get(path, headers={"authorization": f"Bearer {token}"}).json()["items"]
                assert len(listed) > 1, path  # the seed data
    finally:
        # As Control-C does: to all that the terminal runs.
        os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert f"http://localhost:{own}/docs" in said
    assert f"http://localhost:{port}." in said
    assert f"make --silent token PORT={port}" in said
    assert emulators.running(home) is None
    assert not home.exists()


def test_a_service_port_in_use_stops_dev_before_the_emulator_is_started() -> None:
    port = emulators.free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        refused = command("dev", f"--port={port}", f"--service-port={taken}")
    assert refused.returncode == 1
    for part in (f"port {taken} is in use", "the service needs it", " SERVICE_PORT=", "(PORT is the emulator's)"):
        assert part in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


def test_the_emulators_port_is_not_the_services_too() -> None:
    port = emulators.free_port()
    refused = command("dev", f"--port={port}", f"--service-port={port}")
    assert refused.returncode == 1
    assert f"the emulator has port {port}, so the service needs another: SERVICE_PORT=" in refused.stderr
    assert not (SANDBOXES / str(port)).exists()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_test_run_that_is_stopped_leaves_nothing_behind(tmp_path: Path, kind: signal.Signals) -> None:
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
