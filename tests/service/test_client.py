"""The typed client of docs/service.md, generated and used with the commands and the code of the page."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sandbox import issuer, paths
from sandbox.emulator import Emulator
from sandbox.gateway import Authorizer
from service.app import create_app
from tests.service.documented import link_environments
from tests.service.domains import USERS, create_item
from tests.service.test_schemathesis import served

SECTION = (paths.ROOT / "docs" / "service.md").read_text().partition("\n## Generate a client\n")[2]
PYTHON = paths.environment("client") / "python"


def block(language: str) -> str:
    """Return the section's first code block in a language."""
    match = re.search(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the input and output of the page's command, and the page's script."""
    if not PYTHON.exists():
        pytest.fail("`make .venvs/client/.ready` installs the generator", pytrace=False)
    folder = tmp_path_factory.mktemp("client")
    link_environments(folder)
    (folder / "docs").mkdir()
    shutil.copy(paths.ROOT / "docs" / "openapi.json", folder / "docs")
    done = subprocess.run(["bash", "-ec", block("console")], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "script.py").write_text(block("python"))
    return folder


@pytest.fixture
def served_behind_authorizer(table: object, emulator: Emulator) -> Iterator[tuple[str, str]]:
    """Yield the URL of the service as `make dev` serves it, and a token for it."""
    token_issuer = issuer.ensure(emulator)
    app = create_app()
    app.state.scope_prefix = issuer.RESOURCE_SERVER
    with served(Authorizer(app, token_issuer.url, token_issuer.audience, token_issuer.keys_url)) as url:
        yield url, token_issuer.token()


def run_script(project: Path, url: str, token: str) -> subprocess.CompletedProcess[str]:
    environment = {"API_URL": url, "API_TOKEN": token, "PYTHONPATH": "people-client", "NO_PROXY": "*"}
    return subprocess.run(
        [PYTHON, "script.py"], cwd=project, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_generated_client_creates_updates_paginates_and_types_errors(
    project: Path, served_behind_authorizer: tuple[str, str], client: TestClient
) -> None:
    for body in USERS.bodies(105):
        create_item(client, USERS, body)

    done = run_script(project, *served_behind_authorizer)

    assert done.returncode == 0, done.stderr
    name, stale, conflict, *emails = done.stdout.splitlines()
    assert name == "Ada Lovelace"
    assert stale.startswith("412 ")
    assert conflict.startswith("409 ")
    assert sorted(emails) == sorted(["ada@example.com", *(body["email"] for body in USERS.bodies(105))])


def test_generated_client_raises_for_a_gateway_error(project: Path, served_behind_authorizer: tuple[str, str]) -> None:
    url, _ = served_behind_authorizer
    done = run_script(project, url, "expired")
    assert done.returncode == 1
    assert "HTTPStatusError: Client error '401 Unauthorized'" in done.stderr


def test_generated_client_passes_strict_mypy(project: Path) -> None:
    mypy = paths.environment("dev") / "mypy"
    done = subprocess.run(
        [mypy, "--strict", "--config-file=", "--python-executable", PYTHON, "script.py"],
        cwd=project,
        env=os.environ | {"MYPYPATH": "people-client"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
