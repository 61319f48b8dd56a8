"""Examples applied for real: real Terraform, real builds, real containers behind the emulator's API Gateway.

A file's tests share what they apply: under pytest-xdist one worker must run a whole file (`--dist loadfile`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import boto3
import httpx2
import pytest

from sandbox.base_image import BaseImage
from sandbox.emulator import REGION, Emulator
from sandbox.engine import Engine
from tests.harness.root import Root

HERE = Path(__file__).parent

# What an emulator needs and no example may hold: written into the copy under test as an override file.
OVERRIDE = """
{providers}
module "api" {{
  repository = {{ force_delete = true, registry_host = "{registry}" }}
{module}
}}

{root}
"""


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of these tests need an engine."""
    if item.path.is_relative_to(HERE):
        item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Callable[[str], Any]:
    """Make boto3 clients of the emulator."""
    return lambda service: boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=emulator.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


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
    made: list[Root] = []

    def make(example: str, module: str = "", root: str = "") -> Root:
        # The emulator describes alarms without most of their attributes, so that every plan would change them.
        module = f"  alarms = null\n{module}" if "alarms" not in module else module
        text = OVERRIDE.format(
            providers=emulator.provider_blocks(), registry=emulator.registry, module=module, root=root
        )
        made.append(terraform_roots(f"examples/{example}", {"sandbox_override.tf": text}))
        return made[-1]

    yield make
    for root in reversed(made):
        root.destroy()


@pytest.fixture(scope="session")
def hello(base_image: BaseImage) -> str:
    """The override that builds the small application on the base image of this run."""
    return (
        '  image = { build = { context = "../minimal/app", log_file = "build.log", '
        f'args = {{ BASE_IMAGE = "{base_image.reference}" }} }} }}\n'
    )


def gateway(emulator: Emulator, endpoint: str) -> httpx2.Client:
    """Return a client of an API behind the emulator's gateway.

    Python's resolver does not know *.localhost, so the API's name goes into the header instead of the URL.
    """
    host = endpoint.removeprefix("https://").removeprefix("http://").rstrip("/")
    return httpx2.Client(base_url=emulator.url, headers={"host": host}, timeout=40, trust_env=False)


@dataclass
class Load:
    """What came of requests that were sent without a pause: how many, the answers, and what failed."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)
    slowest: float = 0.0


@contextmanager
def load(emulator: Emulator, endpoint: str, path: str, clients: int = 8) -> Iterator[Load]:
    """Send requests from several clients, each the next as soon as it has an answer, until the block ends."""
    total = Load()
    stop = Event()

    def client() -> None:
        # Connections are kept: a flood of new ones would measure the emulator's sockets.
        with gateway(emulator, endpoint) as api:
            while not stop.is_set():
                begin = time.monotonic()
                try:
                    answer = api.get(path)
                    if answer.status_code != 200:
                        total.failed.append(f"{answer.status_code} {answer.text[:200]}")
                    total.answers.add(answer.text)
                except httpx2.HTTPError as error:
                    total.failed.append(repr(error))
                total.sent += 1
                total.slowest = max(total.slowest, time.monotonic() - begin)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client) for _ in range(clients)]
        try:
            yield total
        finally:
            stop.set()
    for one in running:
        one.result()
