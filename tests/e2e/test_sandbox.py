"""The README's first command and its counterpart, run as a person would run them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import emulator as emulators
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import docker
from sandbox.paths import ROOT, SANDBOXES
from sandbox.providers import Providers
from tests.e2e.conftest import gateway

PLACES = (
    "Terraform",
    "AWS emulator",
    "Token issuer",
    "Docker engine",
    "Base image",
    "Terraform providers",
    "terraform apply",
    "Smoke request",
)


def command(name: str, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", name, "--port", str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def port(base_image: BaseImage, providers: Providers) -> Iterator[int]:
    chosen = emulators.free_port()
    yield chosen
    command("down", chosen)


@pytest.fixture(scope="module")
def first(port: int) -> subprocess.CompletedProcess[str]:
    return command("up", port)


def test_up_tells_every_step_with_its_time_and_ends_with_a_url_that_answers(
    first: subprocess.CompletedProcess[str], port: int, providers: Providers, base_image: BaseImage
) -> None:
    assert first.returncode == 0, first.stderr
    for place in PLACES:
        assert f"==> {place}" in first.stdout
    assert first.stdout.count(" s)") >= len(PLACES)
    assert f"docker: {providers.docker.partition(',')[0]}" in first.stdout
    assert f"({base_image.kind})" in first.stdout
    url = command("url", port).stdout.strip()
    assert f"{url} is up" in first.stdout
    token = command("token", port).stdout.strip()
    with gateway(Emulator(port, Path()), url, token) as api:
        created = api.post("/users", json={"email": "ada@example.com", "name": "Ada"})
        assert created.status_code == 201
        assert api.get("/users").json()["items"] == [created.json()]


def test_a_second_up_changes_nothing(first: subprocess.CompletedProcess[str], port: int) -> None:
    second = command("up", port)
    assert second.returncode == 0, second.stderr
    assert "0 added, 0 changed, 0 destroyed" in second.stdout
    assert "version 1 serves" in second.stdout


def test_another_port_is_another_sandbox(first: subprocess.CompletedProcess[str], port: int) -> None:
    other = command("url", emulators.free_port())
    assert other.returncode == 1
    assert "run `make up`" in other.stderr


def test_a_port_that_is_taken_is_refused_before_anything_is_made(
    first: subprocess.CompletedProcess[str], emulator: Emulator
) -> None:
    # Another sandbox's emulator, the tests' own, is as good as any other program.
    taken = command("up", emulator.port)
    assert taken.returncode == 1
    assert f"port {emulator.port} is in use" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_down_leaves_nothing_of_it(first: subprocess.CompletedProcess[str], port: int) -> None:
    # No engine that the tests share is stopped: they hold it.
    done = command("down", port)
    assert done.returncode == 0, done.stderr
    assert not (SANDBOXES / str(port)).exists()
    assert docker("images", "--quiet", f"localhost:{port}/people-api") == ""
    assert (
        docker(
            "ps", "--all", "--quiet", "--filter", f"label={emulators.INSTANCE_LABEL}={Emulator(port, Path()).instance}"
        )
        == ""
    )
    # The port is free again: nothing listens there any more.
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert command("down", port).returncode == 0
