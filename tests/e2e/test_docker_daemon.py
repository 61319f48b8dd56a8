"""examples/minimal with a Docker daemon other than the machine's: none, and one with TLS, as docs/docker-daemon.md sets it."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery import docker_context
from harness import PlanError, Root, TerraformError
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from tests.docker_provider import daemons
from tests.docker_provider.daemons import Daemon
from tests.e2e.conftest import Deployable, gateway

NAME = "daemon-api"
NO_DAEMON = "unix:///nowhere/docker.sock"
BRIDGE, NETWORK = "daemon-test0", "172.30.254.0/24"


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str) -> Root:
    return example("minimal", f'  name = "{NAME}"\n{hello}')


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, base_image: BaseImage) -> Iterator[Daemon]:
    """A daemon with TLS, a network for its builds, the base image, and the Docker context of a pipeline's job."""
    folder = tmp_path_factory.mktemp("tls")
    with daemons.bridge(BRIDGE, NETWORK) as arguments, daemons.tls(folder, *arguments) as daemon:
        with subprocess.Popen(["docker", "save", base_image.reference], stdout=subprocess.PIPE) as image:
            subprocess.run(["docker", "--host", daemon.socket, "load"], stdin=image.stdout, check=True)
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        metadata = docker_context.store(daemon.host, daemon.files, home)
        try:
            yield daemon
        finally:
            subprocess.run(
                ["docker", "--config", str(home / ".docker"), "context", "rm", "--force", docker_context.NAME],
                capture_output=True,
                check=False,
            )
            assert not metadata.exists()


def test_missing_daemon_fails_the_apply_with_one_error_and_not_the_plan(root: Root) -> None:
    root.terraform.environment["DOCKER_HOST"] = NO_DAEMON
    with pytest.raises(TerraformError, match=re.escape(f"Cannot connect to the Docker daemon at {NO_DAEMON}")) as error:
        root.apply()
    assert not isinstance(error.value, PlanError)
    assert len([one for one in error.value.diagnostics if one.severity == "error"]) == 1


def test_daemon_with_tls_builds_and_deploys(root: Root, tls: Daemon, emulator: Emulator) -> None:
    environment = root.terraform.environment
    environment.pop("DOCKER_HOST", None)
    environment |= {"DOCKER_CONTEXT": docker_context.NAME, "DOCKER_CERT_PATH": str(tls.files)}
    outputs = root.apply()
    assert tls.docker("image", "ls", "--quiet", f"{emulator.registry}/{NAME}").strip()
    with gateway(emulator, outputs["endpoint"]) as api:
        assert api.get("/").json() == {"message": "hello"}


def test_apply_without_a_build_needs_no_daemon(root: Root) -> None:
    root.terraform.environment |= {"DOCKER_HOST": NO_DAEMON, "DOCKER_CONTEXT": "", "DOCKER_CERT_PATH": ""}
    root.apply()
