"""Examples applied for real: real Terraform, real builds, real containers behind the emulator's API Gateway.

A file's tests share what they apply: under pytest-xdist one worker runs a whole file (tests/conftest.py sees to it).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest

from harness import Probe, Root, probe
from sandbox import issuer as issuers
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.issuer import Issuer

HERE = Path(__file__).parent


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of these tests need an engine."""
    if item.path.is_relative_to(HERE):
        item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Callable[[str], Any]:
    """Make boto3 clients of the emulator."""
    return emulator.client


class Deployable(Protocol):
    """Makes an example's copy, ready to apply; `module` and `root` go into its override file."""

    def __call__(self, example: str, module: str = "", root: str = "") -> Root: ...


@pytest.fixture(scope="module")
def example(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
    emulator: Emulator,
    engine: Engine,
    base_image: BaseImage,
) -> Iterator[Deployable]:
    """Examples of this file, destroyed at its end if they were applied."""
    destroyed = ExitStack()

    def make(example: str, module: str = "", root: str = "") -> Root:
        module = overrides.NO_ALARMS + module if "alarms" not in module else module
        override = overrides.applied(emulator.registry, module, root)
        made = terraform_roots(f"examples/{example}", {overrides.NAME: override} | overrides.native())
        destroyed.callback(made.destroy)
        return made

    with destroyed:
        yield make


@pytest.fixture(scope="session")
def hello(base_image: BaseImage) -> str:
    """The override that builds the small application on the base image of this run."""
    return (
        '  image = { build = { context = "../minimal/app", log_file = "build.log", '
        f'args = {{ BASE_IMAGE = "{base_image.reference}" }} }} }}\n'
    )


@pytest.fixture(scope="session")
def issuer(emulator: Emulator) -> Issuer:
    """The sandbox's issuer of tokens, on the run's emulator."""
    return issuers.ensure(emulator)


def zip_function(lambda_: Any, name: str, code: str) -> str:
    """Make a function of the old kind, one file in an archive, and return its ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("old.py", code)
    made = lambda_.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/old",
        Handler="old.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    arn: str = made["FunctionArn"]
    return arn


def gateway(emulator: Emulator, endpoint: str, token: str | None = None) -> httpx2.Client:
    """Return a client of an API behind the emulator's gateway, which sends the token, if one is given, with each request.

    Python's resolver does not know *.localhost, so the API's name goes into the header instead of the URL.
    """
    host = endpoint.removeprefix("https://").removeprefix("http://").rstrip("/")
    headers = {"host": host} | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx2.Client(base_url=emulator.url, headers=headers, timeout=40, trust_env=False)


def load(
    emulator: Emulator, endpoint: str, path: str, clients: int = 8, token: str | None = None
) -> AbstractContextManager[Probe]:
    """Ask an API behind the emulator's gateway some ten times a second, until the block ends.

    Without a pause it would take the machine from the applies that it is to watch.
    """
    return probe(
        path,
        good=lambda answer: answer.status_code == 200,
        client=lambda: gateway(emulator, endpoint, token),
        clients=clients,
        pause=0.1 * clients,
    )
