"""The fixtures, in a project that is not this one and cannot import it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[1]
MODULE = 'variable "name" {}\nresource "terraform_data" "this" {\n  input = var.name\n}\n'
TESTS = """
import pytest
from harness import PlanError


def test_plans(terraform_root):
    root = terraform_root("modules/greeting")
    assert root.plan(name="ada").values["terraform_data.this"]["input"] == "ada"


def test_refuses_a_misspelt_variable(terraform_root):
    with pytest.raises(PlanError, match="undeclared"):
        terraform_root("modules/greeting").plan(name="ada", nmae="bob")


def test_applies(terraform_root, pytestconfig):
    root = terraform_root("modules/greeting", files={"more.tf": 'output "name" {\\n  value = var.name\\n}'})
    assert root.apply(name="ada") == {"name": "ada"}
    root.assert_idempotent(name="ada")
    (pytestconfig.rootpath / "applied").write_text(str(root.path))


@pytest.mark.parametrize("number", range(4))
def test_made_once(number, once_per_run, pytestconfig):
    def make():
        with (pytestconfig.rootpath / "made").open("a") as file:
            file.write("x")
        return {"answer": 42}

    assert once_per_run("answer", make) == {"answer": 42}
"""


def test_the_fixtures_work_in_another_project_and_in_parallel(tmp_path: Path) -> None:
    shutil.copytree(HARNESS, tmp_path / "harness", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    (tmp_path / "modules/greeting").mkdir(parents=True)
    (tmp_path / "modules/greeting/main.tf").write_text(MODULE)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["harness.pytest_plugin"]\n')
    (tmp_path / "test_greeting.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    result = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "import sys, pytest; sys.path.insert(0, '.'); sys.exit(pytest.main(['-q', '-n', '2']))",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "7 passed" in result.stdout, result.stdout + result.stderr
    assert (tmp_path / "made").read_text() == "x"
    applied = Path((tmp_path / "applied").read_text())
    assert '"resources": []' in (applied / "terraform.tfstate").read_text()
