"""The README's first command and its counterpart, run as a person would run them, in a copy with the resources of docs/service.md."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import emulator as emulators
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import docker
from sandbox.providers import Providers
from tests.e2e.conftest import gateway
from tests.service.documented import with_documented_resources

PLACES = (
    "Terraform",
    "Emulator of AWS",
    "Issuer of tokens",
    "Docker engine",
    "Base image",
    "Terraform providers",
    "terraform apply",
    "Smoke request",
)


Command = Callable[[str, int], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_documented_resources(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def command(project: Path) -> Command:
    def run(name: str, port: int) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "sandbox", name, "--port", str(port)]
        return subprocess.run(arguments, cwd=project, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def port(command: Command, base_image: BaseImage, providers: Providers) -> Iterator[int]:
    chosen = emulators.free_port()
    yield chosen
    command("down", chosen)


@pytest.fixture(scope="module")
def first(command: Command, port: int) -> subprocess.CompletedProcess[str]:
    return command("up", port)


def test_up_tells_every_step_with_its_time_and_ends_with_a_url_that_answers(
    command: Command,
    first: subprocess.CompletedProcess[str],
    port: int,
    providers: Providers,
    base_image: BaseImage,
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


def test_the_documented_resources_are_deployed_without_a_line_of_terraform(
    command: Command, first: subprocess.CompletedProcess[str], port: int
) -> None:
    url, token = (command(name, port).stdout.strip() for name in ("url", "token"))
    with gateway(Emulator(port, Path()), url, token) as api:
        customer = api.post("/customers", json={"name": "Engines"}).raise_for_status().json()["id"]
        order = {"name": "Cog wheels", "quantity": 3, "price": "9.90", "due": "2026-12-24", "customer_id": customer}
        created = api.post("/orders", json=order)
        assert created.status_code == 201, created.text
        assert api.get(created.headers["location"]).json().items() >= order.items()
        ticket = api.post("/tickets", json={"title": "Broken", "customer_id": customer}).raise_for_status().json()
        cancelled = api.post(f"/tickets/{ticket['id']}/cancel")
        assert cancelled.json()["state"] == "cancelled"
        changed = api.patch(f"/tickets/{ticket['id']}", json={"title": "X"}, headers={"if-match": "*"})
        assert changed.status_code == 409
    with gateway(Emulator(port, Path()), url) as nobody:
        assert nobody.get("/orders").status_code == 401


def test_a_second_up_changes_nothing(command: Command, first: subprocess.CompletedProcess[str], port: int) -> None:
    second = command("up", port)
    assert second.returncode == 0, second.stderr
    assert "0 added, 0 changed, 0 destroyed" in second.stdout
    assert "version 1 serves" in second.stdout


def test_another_port_is_another_sandbox(command: Command, first: subprocess.CompletedProcess[str], port: int) -> None:
    other = command("url", emulators.free_port())
    assert other.returncode == 1
    assert "run `make up`" in other.stderr


def test_a_port_that_is_taken_is_refused_before_anything_is_made(
    command: Command, first: subprocess.CompletedProcess[str], emulator: Emulator
) -> None:
    # Another sandbox's emulator, the tests' own, is as good as any other program.
    taken = command("up", emulator.port)
    assert taken.returncode == 1
    assert f"port {emulator.port} is in use" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_down_leaves_nothing_of_it(
    command: Command, first: subprocess.CompletedProcess[str], project: Path, port: int
) -> None:
    # No engine that the tests share is stopped: they hold it.
    done = command("down", port)
    assert done.returncode == 0, done.stderr
    assert not (project / ".sandbox" / str(port)).exists()
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
