"""The harness as a package, installed with pip from a git URL."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.conftest import HARNESS, Project, copy_harness

PROJECT = HARNESS.parent
PRODUCT = ("benchmarks", "delivery", "harness", "policies", "sandbox", "service", "tools")
OWN = ("benchmarks", "policies", "sandbox", "service", "tests", "tools")


def imported(path: Path) -> set[str]:
    """Return the top-level packages of a file's absolute imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).partition(".")[0])
    return names


def importers(folders: tuple[str, ...], of: set[str]) -> list[str]:
    files = [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]
    assert files
    return [str(path.relative_to(PROJECT)) for path in files if imported(path) & of]


def test_only_tests_import_from_tests() -> None:
    assert importers(PRODUCT, {"tests"}) == []
    assert importers(("tests",), {"tests"}) != []


def test_harness_and_delivery_import_nothing_of_the_project() -> None:
    assert importers(("harness",), {"delivery", *OWN}) == []
    assert importers(("delivery",), {"harness", *OWN}) == []


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the harness in it."""
    folder = tmp_path_factory.mktemp("published") / "repository"
    copy_harness(folder)
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message", "harness"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the package in its folder, and nothing else on its path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    url = f"git+file://{repository}#subdirectory=harness"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), url], check=True)
    project = Project(folder)
    project.write("pytest.ini", "[pytest]\n")
    project.write("modules/greeting/main.tf", 'variable "name" {}\noutput "name" {\n  value = var.name\n}\n')
    project.write(
        "test_greeting.py",
        "def test_plans(terraform_root):\n"
        '    assert terraform_root("modules/greeting").plan(name="ada").outputs == {"name": "ada"}\n',
    )
    return project


@pytest.mark.parametrize(
    "conftest", ["", 'pytest_plugins = ["harness.pytest_plugin"]\n'], ids=["entry point only", "in conftest.py too"]
)
def test_installed_from_a_git_url_it_has_fixtures_and_types(conftest: str, installed: Project) -> None:
    installed.write("conftest.py", conftest)

    output = installed.pytest()

    assert "1 passed" in output, output
    assert (installed.path / "harness/py.typed").exists()
