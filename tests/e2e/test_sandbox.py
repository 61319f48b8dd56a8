"""`make up` and `make down`, run as a user runs them, in a copy of the project with the resources of docs/service.md."""

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

STEPS = (
    "Terraform",
    "AWS emulator",
    "Token issuer",
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
    free = emulators.free_port()
    yield free
    command("down", free)


@pytest.fixture(scope="module")
def first(command: Command, port: int) -> subprocess.CompletedProcess[str]:
    return command("up", port)


def test_up_prints_every_step_and_a_url_that_works(
    command: Command,
    first: subprocess.CompletedProcess[str],
    port: int,
    providers: Providers,
    base_image: BaseImage,
) -> None:
    assert first.returncode == 0, first.stderr
    for step in STEPS:
        assert f"==> {step}" in first.stdout
    assert first.stdout.count(" s)") >= len(STEPS)
    assert f"docker: {providers.docker.partition(',')[0]}" in first.stdout
    assert f"({base_image.kind})" in first.stdout
    url = command("url", port).stdout.strip()
    assert f"{url} is up" in first.stdout
    token = command("token", port).stdout.strip()
    with gateway(Emulator(port, Path()), url, token) as api:
        created = api.post("/users", json={"email": "ada@example.com", "name": "Ada"})
        assert created.status_code == 201
        assert api.get("/users").json()["items"] == [created.json()]


def test_documented_resources_are_deployed_without_terraform_changes(
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
    with gateway(Emulator(port, Path()), url) as anonymous:
        assert anonymous.get("/orders").status_code == 401


def test_second_up_changes_nothing(command: Command, first: subprocess.CompletedProcess[str], port: int) -> None:
    second = command("up", port)
    assert second.returncode == 0, second.stderr
    assert "0 added, 0 changed, 0 destroyed" in second.stdout
    assert "version 1 serves" in second.stdout


def test_url_of_a_port_without_a_sandbox_fails(
    command: Command, first: subprocess.CompletedProcess[str], port: int
) -> None:
    other = command("url", emulators.free_port())
    assert other.returncode == 1
    assert "run `make up`" in other.stderr


def test_up_on_a_port_in_use_fails(
    command: Command, first: subprocess.CompletedProcess[str], emulator: Emulator
) -> None:
    # The port of the tests' own emulator.
    result = command("up", emulator.port)
    assert result.returncode == 1
    assert f"port {emulator.port} is in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_down_removes_everything(
    command: Command, first: subprocess.CompletedProcess[str], project: Path, port: int
) -> None:
    # The engine keeps running: the tests share it.
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
    # Nothing listens on the port any more.
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    assert command("down", port).returncode == 0
