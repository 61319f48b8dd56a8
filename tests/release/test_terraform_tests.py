"""The module's own `terraform test` files pass, and fail for a changed module."""

from __future__ import annotations

import re

from harness import IsFlagged, Root
from harness.pytest_plugin import RootFactory
from sandbox.paths import ROOT
from tools.release.records import MODULE

FOLDER = ROOT / MODULE
FILES = sorted(path.name.removesuffix(".tftest.hcl") for path in FOLDER.glob("tests/*.tftest.hcl"))
# Test file → module file, pattern, replacement, and the expected failure.
MUTATIONS = {
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
    """Run all of the module's tests at once, since starting the providers takes most of the time."""
    result = root.terraform.test(json=IsFlagged)
    return result.code, "\n".join(map(str, result.diagnostics))


def test_module_passes_its_tests(terraform_root: RootFactory) -> None:
    assert run(terraform_root(MODULE)) == (0, "")


def test_changed_module_fails_its_tests(terraform_root: RootFactory) -> None:
    root = terraform_root(MODULE)
    for source, old, new, _ in MUTATIONS.values():
        text, count = re.subn(old, new, (root.path / source).read_text(), count=1)
        assert count == 1
        root.write(source, text)

    code, output = run(root)

    assert code == 1
    by_file = {file: [line for line in output.splitlines() if f"tests/{file}.tftest.hcl:" in line] for file in FILES}
    assert {file for file in FILES if any(MUTATIONS[file][3] in line for line in by_file[file])} == set(FILES), output


def test_every_variable_with_a_validation_has_a_refusal_run() -> None:
    blocks = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (FOLDER / "variables.tf").read_text(), re.MULTILINE | re.DOTALL
    )
    tested = re.findall(r"expect_failures = \[var\.(\w+)\]", (FOLDER / "tests/refusals.tftest.hcl").read_text())
    assert {name for name, body in blocks if "validation {" in body} == set(tested)


def test_tests_use_only_features_of_opentofu() -> None:
    # OpenTofu 1.12 lacks mock files, override_during and parallel runs; both support `.tftest.hcl`.
    only_terraform = re.compile(r"^\s*(source|override_during|parallel|state_key)\s*=", re.MULTILINE)
    assert [file for file in FILES if only_terraform.search((FOLDER / f"tests/{file}.tftest.hcl").read_text())] == []
    assert list(FOLDER.rglob("*.tfmock.hcl")) == []


def test_mocks_of_gate_and_defaults_are_equal_except_the_invocation() -> None:
    # Duplicated, because OpenTofu has no mock files.
    def mocks(file: str) -> list[str]:
        text = (FOLDER / f"tests/{file}.tftest.hcl").read_text()
        blocks: list[str] = re.findall(r"^  mock_\w+ (.*?)^  \}", text, re.MULTILINE | re.DOTALL)
        return [block for block in blocks if "aws_lambda_invocation" not in block]

    assert mocks("gate") == mocks("defaults") != []
