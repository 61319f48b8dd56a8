"""The module's own tests, which a team runs on its copy: they pass, and do not when the module promises less."""

from __future__ import annotations

import re

from harness import IsFlagged, Root
from harness.pytest_plugin import RootFactory
from sandbox.paths import ROOT
from tools.release.records import MODULE

FOLDER = ROOT / MODULE
FILES = sorted(path.name.removesuffix(".tftest.hcl") for path in FOLDER.glob("tests/*.tftest.hcl"))
# File of tests → file of the module, a promise of it, less than that, and what the tests then say.
LESS = {
    "defaults": (
        "variables.tf",
        r"(timeout_seconds\s*= optional\(number, )10",
        r"\g<1>12",
        "must have 512 MB and 10 s",
    ),
    "gate": ("smoke.tf", r"response\.status == response\.request\.status", "true", "Missing expected failure"),
    "refusals": (
        "variables.tf",
        r"var\.function\.timeout_seconds <= 29",
        "var.function.timeout_seconds <= 30",
        "Missing expected failure",
    ),
}


def run(root: Root) -> tuple[int, str]:
    """Run all of the module's tests at once: most of what a run takes is the start of its providers."""
    result = root.terraform.test(json=IsFlagged)
    return result.code, "\n".join(map(str, result.diagnostics))


def test_the_module_passes(terraform_root: RootFactory) -> None:
    assert run(terraform_root(MODULE)) == (0, "")


def test_a_module_that_promises_less_does_not(terraform_root: RootFactory) -> None:
    root = terraform_root(MODULE)
    for source, old, new, _ in LESS.values():
        text, times = re.subn(old, new, (root.path / source).read_text(), count=1)
        assert times == 1
        root.write(source, text)

    code, said = run(root)

    assert code == 1
    by_file = {file: [line for line in said.splitlines() if f"tests/{file}.tftest.hcl:" in line] for file in FILES}
    assert {file for file in FILES if any(LESS[file][3] in line for line in by_file[file])} == set(FILES), said


def test_every_variable_that_refuses_anything_has_a_run_that_shows_it() -> None:
    blocks = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (FOLDER / "variables.tf").read_text(), re.MULTILINE | re.DOTALL
    )
    shown = re.findall(r"expect_failures = \[var\.(\w+)\]", (FOLDER / "tests/refusals.tftest.hcl").read_text())
    assert {name for name, body in blocks if "validation {" in body} == set(shown)


def test_the_tests_use_nothing_that_opentofu_does_not_know() -> None:
    # Files of mocks, values at plan and parallel runs are Terraform's alone (OpenTofu 1.12); both know `.tftest.hcl`.
    only_terraform = re.compile(r"^\s*(source|override_during|parallel|state_key)\s*=", re.MULTILINE)
    assert [file for file in FILES if only_terraform.search((FOLDER / f"tests/{file}.tftest.hcl").read_text())] == []
    assert list(FOLDER.rglob("*.tfmock.hcl")) == []


def test_the_gates_mocks_are_those_of_the_defaults_but_for_what_a_version_answers() -> None:
    # OpenTofu reads no files of mocks, so they stand twice.
    def mocks(file: str) -> list[str]:
        text = (FOLDER / f"tests/{file}.tftest.hcl").read_text()
        blocks: list[str] = re.findall(r"^  mock_\w+ (.*?)^  \}", text, re.MULTILINE | re.DOTALL)
        return [block for block in blocks if "aws_lambda_invocation" not in block]

    assert mocks("gate") == mocks("defaults") != []
