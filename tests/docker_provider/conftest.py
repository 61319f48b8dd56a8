import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import boto3
import pytest

from sandbox import docker_provider
from sandbox.emulator import Emulator
from tests.docker_provider.workspace import GuardedRegistry, Repository, TokenRegistry, Workspace, remove_images


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    docker_provider.install(folder)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, mirror: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace", mirror)
    made.file("context/Dockerfile", "FROM scratch\nCOPY message.txt /\n")
    # Unlike in every other test, so that no two images have the same digest.
    made.file("context/message.txt", uuid.uuid4().hex)
    return made


def _create_repository(emulator: Emulator, mutability: Literal["MUTABLE", "IMMUTABLE"]) -> Repository:
    environment = emulator.environment()
    client = boto3.client(
        "ecr",
        endpoint_url=emulator.url,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    name = f"stand-in-{uuid.uuid4().hex[:12]}"
    client.create_repository(repositoryName=name, imageTagMutability=mutability)
    return Repository(f"localhost:{emulator.port}", name)


@pytest.fixture
def repository(emulator: Emulator) -> Iterator[Repository]:
    repository = _create_repository(emulator, "MUTABLE")
    yield repository
    remove_images(f"{repository.registry}/{repository.name}")


@pytest.fixture
def immutable_repository(emulator: Emulator) -> Iterator[Repository]:
    repository = _create_repository(emulator, "IMMUTABLE")
    yield repository
    remove_images(f"{repository.registry}/{repository.name}")


@contextmanager
def _serving(registry: type[GuardedRegistry]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), registry)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def guarded_registry() -> Iterator[str]:
    with _serving(GuardedRegistry) as address:
        yield address


@pytest.fixture
def token_registry() -> Iterator[str]:
    with _serving(TokenRegistry) as address:
        yield address
