"""Stub routes are a service that starts, checks callers, and passes the project's checks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from migration import output
from sandbox.paths import ROOT, environment
from tests.migration.parts import method, only_api, rest

PYTHON = environment("dev") / "python"
KEYS = {
    "GET /users": "ListUsers",
    "POST /users": "AddUser",
    "DELETE /users/{userId}": "DeleteUser",
    "PUT /customers/{body}": "UpdateCustomer",
    "ANY /customers/{class}/files/{path+}": "Files",
}
# Prints the status of a request for each route, without a caller and with one who may do everything.
START = """
from starlette.testclient import TestClient
from service.app import create_app
from service.kit.auth import SCOPE_KEY, Principal

app = create_app()
event = {"requestContext": {"authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/a"}}}}


async def called(scope, receive, send):
    await app({**scope, "aws.event": event}, receive, send)


for client in (TestClient(app), TestClient(called)):
    print(
        client.get("/users").status_code,
        client.post("/users", json={}).status_code,
        client.delete("/users/1").status_code,
        client.put("/customers/1", json={}).status_code,
        client.get("/customers/1/files/a/b").status_code,
    )
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the service with stubs instead of its domains."""
    project = tmp_path_factory.mktemp("stubs")
    shutil.copytree(
        ROOT / "service", project / "service", ignore=shutil.ignore_patterns("__pycache__", "users", "customers")
    )
    files = output.stubs(only_api(rest({key: method(name) for key, name in KEYS.items()})))
    output.write({project / "service" / path: text for path, text in files.items()})
    shutil.copy(ROOT / "pyproject.toml", project)
    return project


def test_stubs_check_the_caller_and_say_that_they_have_not_moved(project: Path) -> None:
    settings = {"PATH": "/usr/bin:/bin", "TABLE_NAME": "none", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(PYTHON), "-c", START]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=settings)
    printed = [line for line in run.stdout.splitlines() if not line.startswith("{")]  # without the log
    assert printed == ["401 401 401 401 401", "501 501 501 501 501"], run.stderr


@pytest.mark.parametrize("command", ["mypy", "ruff check", "ruff format --check"])
def test_stubs_pass_the_projects_checks(project: Path, command: str) -> None:
    run = subprocess.run(
        [PYTHON, "-m", *command.split(), "service/users", "service/customers"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}{run.stderr}"
