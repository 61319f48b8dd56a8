"""The fixtures, in another project that cannot import this one."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import BinaryError
from harness.terraform import usable
from tests.harness.conftest import HANGING, Project, copy_harness, processes_with

MODULE = 'variable "name" {}\nresource "terraform_data" "this" {\n  input = var.name\n}\n'
TESTS = """
import pytest
from harness import PlanError


def test_plans(terraform_root):
    root = terraform_root("modules/greeting")
    assert root.plan(name="ada").values["terraform_data.this"]["input"] == "ada"


def test_undeclared_variable_is_refused(terraform_root):
    with pytest.raises(PlanError, match="undeclared"):
        terraform_root("modules/greeting").plan(name="ada", nmae="bob")


def test_applies(terraform_root, pytestconfig):
    root = terraform_root("modules/greeting", files={"more.tf": 'output "name" {\\n  value = var.name\\n}'})
    assert root.apply(name="ada") == {"name": "ada"}
    root.assert_idempotent()
    (pytestconfig.rootpath / "applied").write_text(str(root.path))


@pytest.mark.parametrize("number", range(4))
def test_runs_once(number, once_per_run, pytestconfig):
    def make():
        with (pytestconfig.rootpath / "calls").open("a") as file:
            file.write("x")
        return {"value": 42}

    assert once_per_run("value", make) == {"value": 42}
"""

SLOW = 'resource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 1.5"\n  }\n}\n'
NAMED_AND_SLOW = """
import pytest
from harness import terraform


@pytest.mark.parametrize("number", range(2))
def test_name(number, unique_name, pytestconfig):
    with (pytestconfig.rootpath / "names").open("a") as file:
        file.write(unique_name("orders") + " ")


def test_slow(apply, monkeypatch):
    monkeypatch.setattr(terraform, "PROGRESS_SECONDS", 0.5)
    apply("modules/slow")
"""


APPLIES = """
import os
import pytest


def test_applies(apply, pytestconfig, stage):
    root = apply("modules/greeting", name=os.environ.get("GREET", "ada"))
    (pytestconfig.rootpath / "applied").write_text(str(root.path))
    if stage("verify"):
        assert root.terraform.cmd("state list").out == "terraform_data.this\\n"


@pytest.fixture(scope="module")
def shared(module_apply):
    return module_apply("modules/greeting", {"name": "bob"})


@pytest.mark.parametrize("number", range(2))
def test_shares(shared, number, pytestconfig):
    with (pytestconfig.rootpath / "shared").open("a") as file:
        file.write(f"{shared.path}\\n")
    assert "terraform_data.this" in shared.terraform.cmd("state list").out
"""
FAILING_DESTROY = """
import pytest
from harness import Retry


@pytest.fixture(scope="session")
def terraform_retry():
    return Retry(attempts=1)


def test_two(apply, pytestconfig):
    good = apply("modules/greeting", name="good")
    (pytestconfig.rootpath / "good").write_text(str(good.path))
    provisioner = 'provisioner "local-exec" {\\n  when = destroy\\n  command = "exit 4"\\n}\\n'
    apply("modules/greeting", files={"stays.tf": f'resource "terraform_data" "stays" {{\\n{provisioner}}}\\n'}, name="bad")
"""
EMPTY = '"resources": []'


def greeting(folder: Path) -> Project:
    """A project with one module and a copy of the harness."""
    copy_harness(folder)
    project = Project(folder)
    project.write("modules/greeting/main.tf", MODULE)
    project.write("conftest.py", 'pytest_plugins = ["harness.pytest_plugin"]\n')
    project.write("pytest.ini", "[pytest]\n")
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return greeting(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def without_other_plugins() -> Iterator[None]:
    """Other installed plugins would only slow down pytest's start in these projects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


PARALLEL = ("-p", "xdist", "-n", "2")


@dataclass(frozen=True)
class Run:
    """A project and the output of a pytest run in it."""

    project: Project
    output: str


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Run:
    project = greeting(tmp_path_factory.mktemp("parallel"))
    project.write("test_greeting.py", TESTS)
    project.write("modules/slow/main.tf", SLOW)
    project.write("test_named_and_slow.py", NAMED_AND_SLOW)
    return Run(project, project.pytest(*PARALLEL))


@pytest.fixture(scope="module")
def serial(parallel: Run) -> Run:
    """Run some of the same tests again, in one process."""
    return Run(parallel.project, parallel.project.pytest("test_named_and_slow.py"))


def test_fixtures_work_in_another_project_in_parallel(parallel: Run) -> None:
    assert "10 passed" in parallel.output, parallel.output
    assert (parallel.project.path / "calls").read_text() == "x"
    assert EMPTY in parallel.project.state()


def test_unique_name_is_the_same_in_every_run_and_worker(parallel: Run, serial: Run) -> None:
    assert "3 passed" in serial.output, serial.output
    names = (parallel.project.path / "names").read_text().split()
    assert len(names) == 4
    assert len(set(names)) == 1
    assert re.fullmatch("orders-[0-9a-f]{6}", names[0])


@pytest.mark.parametrize("workers", ["serial", "parallel"])
def test_progress_is_shown_despite_capture(workers: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(workers)
    assert "waiting for terraform_data.slow" in run.output, run.output


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A test that fails in its stage `verify`, a test with a failing destroy, and a binary that logs its commands."""
    project = greeting(tmp_path_factory.mktemp("failing"))
    project.write("test_greeting.py", APPLIES.replace("terraform_data.this\\n", "something else"))
    project.write("test_failing_destroy.py", FAILING_DESTROY)
    wrapper = project.path / "tofu"
    wrapper.write_text(f'#!/bin/sh\necho "$1" >> {project.path}/verbs\nexec terraform "$@"\n')
    wrapper.chmod(0o755)
    return Run(project, project.pytest(*PARALLEL, "--dist", "loadfile", TERRAFORM=str(wrapper)))


def test_failed_test_destroys_what_it_applied(failing: Run) -> None:
    assert "1 failed, 3 passed, 1 error" in failing.output, failing.output
    assert EMPTY in failing.project.state()
    (shared,) = set((failing.project.path / "shared").read_text().split())
    assert EMPTY in (Path(shared) / "terraform.tfstate").read_text()


def test_failing_destroy_does_not_stop_the_others(failing: Run) -> None:
    assert "ERROR test_failing_destroy.py::test_two" in failing.output, failing.output
    assert "exit status 4" in failing.output
    assert "The remaining resources are in the state in" in failing.output
    good = Path((failing.project.path / "good").read_text())
    assert EMPTY in (good / "terraform.tfstate").read_text()


def test_binary_from_the_environment_is_used(failing: Run) -> None:
    verbs = (failing.project.path / "verbs").read_text().split()
    assert {"version", "init", "plan", "apply", "destroy"} <= set(verbs)


def test_stages_are_skipped_by_name(failing: Run) -> None:
    assert "FAILED test_greeting.py::test_applies" in failing.output, failing.output
    output = failing.project.pytest("-k", "applies", SKIP_VERIFY="1", SKIP_DESTROY="1")
    assert "1 passed" in output, output
    assert "terraform_data" in failing.project.state()


def test_interrupted_run_saves_state_and_destroys(project: Project) -> None:
    hanging = HANGING.replace("sleep 86399.25", "touch ../../started && sleep 86397.25")
    project.write("modules/greeting/hangs.tf", hanging)
    # A shell without job control starts background processes with SIGINT ignored.
    handler = "import signal\n\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    project.write("conftest.py", handler + (project.path / "conftest.py").read_text())
    project.write(
        "test_hangs.py",
        "import pytest\n\n\ndef test_hangs(terraform_root, pytestconfig):\n"
        '    root = terraform_root("modules/greeting")\n'
        '    (pytestconfig.rootpath / "applied").write_text(str(root.path))\n    root.apply(name="ada")\n',
    )

    with project.start() as running:
        while not (project.path / "applied").exists() or not (project.applied() / "../../started").exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate()

    assert "KeyboardInterrupt" in output, output
    assert processes_with("86397.25") == []
    assert EMPTY in project.state()
    # Had Terraform been killed at once, state would lack the resource in creation.
    destroyed = json.loads((project.applied() / "terraform.tfstate.backup").read_text())["resources"]
    assert {resource["name"] for resource in destroyed} == {"this", "quick", "hangs"}


def test_kept_root_is_updated_by_the_next_run_and_destroyed_without_keep(project: Project) -> None:
    project.write("test_greeting.py", APPLIES)

    output = project.pytest("--keep", "-k", "applies")
    assert f"kept: {project.applied()}" in output, output
    first = json.loads(project.state())
    module = project.path / "modules/greeting/main.tf"
    module.write_text(MODULE.replace("input = var.name", 'input = "Hello ${var.name}"'))
    (project.path / "modules/greeting/gone.tf").touch()

    project.pytest("--keep", "-k", "applies")
    second = json.loads(project.state())
    assert second["lineage"] == first["lineage"]
    assert "Hello ada" in project.state()
    (project.path / "modules/greeting/gone.tf").unlink()

    unchanged = project.pytest("--keep", "-k", "applies", SKIP_APPLY="1", GREET="bob")
    assert "1 passed" in unchanged, unchanged
    assert json.loads(project.state()) == second
    assert (project.applied() / "gone.tf").exists()

    assert "1 passed" in project.pytest("-k", "applies")
    assert not project.applied().exists()
    assert list((project.path / ".pytest_cache/d/terraform-kept").iterdir()) == []


def test_skip_apply_without_a_kept_root_is_an_error(project: Project) -> None:
    project.write("test_greeting.py", APPLIES)

    output = project.pytest("-k", "applies", SKIP_APPLY="1")

    assert "SKIP_APPLY is set, but modules/greeting has not been kept: run the test once with --keep" in output


def test_without_pytests_cache_only_keep_fails(project: Project) -> None:
    project.write("test_greeting.py", APPLIES + "\n\ndef test_name(unique_name):\n    assert unique_name('a') != 'a'\n")

    output = project.pytest("-p", "no:cacheprovider", *PARALLEL)
    assert "4 passed" in output, output
    assert EMPTY in project.state()

    output = project.pytest("-p", "no:cacheprovider", "--keep", "-k", "applies")
    assert "--keep and SKIP_… need pytest's cache, which -p no:cacheprovider turns off" in output, output


def fake(folder: Path, version: str) -> str:
    """Return a fake Terraform or OpenTofu that only prints its version."""
    path = folder / "other"
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            None,
            "terrafrom is not on PATH: install Terraform or OpenTofu, or set TERRAFORM to another binary, such as tofu",
        ),
        (
            '{"terraform_version": "1.8.5"}',
            "other 1.8.5 is too old: the harness needs 1.9 or newer. Set TERRAFORM to another binary",
        ),
        ("no version", "printed no version, so it is not Terraform: 'no version'"),
    ],
    ids=["missing", "too old", "another program"],
)
def test_unusable_binary_is_a_one_line_error(tmp_path: Path, version: str | None, message: str) -> None:
    with pytest.raises(BinaryError) as error:
        usable(fake(tmp_path, version) if version else "terrafrom")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unusable_binary_fails_a_test_without_a_traceback(project: Project) -> None:
    project.write("test_greeting.py", APPLIES)

    output = project.pytest("-k", "applies", TERRAFORM=fake(project.path, '{"terraform_version": "1.8.5"}'))

    assert "other 1.8.5 is too old: the harness needs 1.9 or newer" in output, output
    assert "Traceback" not in output
