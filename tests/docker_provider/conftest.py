import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest

from sandbox import docker_provider
from sandbox.emulator import Emulator
from tests.docker_provider.workspace import SOURCE, GuardedRegistry, Repository, Workspace, remove_images


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    docker_provider.install(folder, SOURCE)
    return folder


@pytest.fixture(scope="session")
def make_workspace(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Workspace]:
    def make() -> Workspace:
        workspace = Workspace(tmp_path_factory.mktemp("workspace") / "root", mirror)
        workspace.file("context/Dockerfile", "FROM scratch\nCOPY message.txt /\n")
        # Unique, so that no two images have the same digest.
        workspace.file("context/message.txt", uuid.uuid4().hex)
        return workspace

    return make


@pytest.fixture
def workspace(make_workspace: Callable[[], Workspace]) -> Workspace:
    return make_workspace()


def _create_repository(emulator: Emulator, mutability: Literal["MUTABLE", "IMMUTABLE"]) -> Repository:
    client = emulator.client("ecr")
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


Serve = Callable[[type[GuardedRegistry]], str]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(kind)` starts a registry of that kind and returns its address."""
    with ExitStack() as running:
        yield lambda kind: running.enter_context(_serving(kind))


@pytest.fixture
def guarded_registry(serve: Serve) -> str:
    return serve(GuardedRegistry)
