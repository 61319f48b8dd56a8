"""Applied examples: Terraform, image builds, and containers behind the emulator's API Gateway.

The tests of a file share an applied root, so under pytest-xdist one worker runs the whole file (see tests/conftest.py).
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
# Of examples/cloudfront-and-waf: the provider waits half a minute before it asks for the first time.
CLOUDFRONT = overrides.aws_provider("us_east_1") + (
    'resource "aws_cloudfront_distribution" "this" {\n  wait_for_deployment = false\n}\n'
)


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.is_relative_to(HERE):
        item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Callable[[str], Any]:
    """Return a factory of boto3 clients for the emulator."""
    return emulator.client


class Deployable(Protocol):
    """Copies an example, ready to apply; `module` and `root` are written into its override file."""

    def __call__(self, example: str, module: str = "", root: str = "") -> Root: ...


@pytest.fixture(scope="module")
def example(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
    emulator: Emulator,
    engine: Engine,
    base_image: BaseImage,
) -> Iterator[Deployable]:
    """Copies of examples, destroyed after the file's last test."""
    cleanup = ExitStack()

    def make(example: str, module: str = "", root: str = "") -> Root:
        module = overrides.NO_ALARMS + module if "alarms" not in module else module
        override = overrides.applied(emulator.registry, module, root)
        root_module = terraform_roots(f"examples/{example}", {overrides.NAME: override} | overrides.native())
        cleanup.callback(root_module.destroy)
        return root_module

    with cleanup:
        yield make


@pytest.fixture(scope="session")
def hello(base_image: BaseImage) -> str:
    """The override that builds examples/minimal/app on the base image of this run."""
    return (
        '  image = { build = { context = "../minimal/app", log_file = "build.log", '
        f'args = {{ BASE_IMAGE = "{base_image.reference}" }} }} }}\n'
    )


@pytest.fixture(scope="session")
def issuer(emulator: Emulator) -> Issuer:
    """The sandbox's token issuer, on the run's emulator."""
    return issuers.ensure(emulator)


def zip_function(lambda_: Any, name: str, code: str) -> str:
    """Create a zip function with a single file, and return its ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("old.py", code)
    function = lambda_.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/old",
        Handler="old.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    arn: str = function["FunctionArn"]
    return arn


def gateway(emulator: Emulator, endpoint: str, token: str | None = None) -> httpx2.Client:
    """Return a client for an API behind the emulator's gateway, with an optional bearer token.

    Python cannot resolve *.localhost, so the API's host name is sent in the Host header.
    """
    host = endpoint.removeprefix("https://").removeprefix("http://").rstrip("/")
    headers = {"host": host} | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx2.Client(base_url=emulator.url, headers=headers, timeout=40, trust_env=False)


def load(
    emulator: Emulator, endpoint: str, path: str, clients: int = 8, token: str | None = None
) -> AbstractContextManager[Probe]:
    """Send about ten requests a second to an API behind the emulator's gateway, until the block ends.

    Without a pause, the load would slow down the applies under test.
    """
    return probe(
        path,
        good=lambda response: response.status_code == 200,
        client=lambda: gateway(emulator, endpoint, token),
        clients=clients,
        pause=0.1 * clients,
    )
