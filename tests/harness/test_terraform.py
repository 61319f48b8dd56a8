"""Fixes to python-terraform."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import CommandTimeoutError, IsFlagged, Root, Terraform, TerraformError, terraform
from tests.harness.conftest import HANGING, processes_with

# Ignores SIGINT, as does its child.
IGNORES_SIGINT = """#!/bin/sh
trap '' INT
sleep 86398.25 &
wait
"""


def test_timeout_interrupts_terraform_keeps_state_and_leaves_no_process(
    root_of: Callable[[str], Root],
) -> None:
    root = root_of(HANGING)

    with pytest.raises(CommandTimeoutError, match=r"apply failed\ntimed out after 5 s; it exited on SIGINT"):
        root.terraform.apply(timeout=5)

    assert processes_with("86399.25") == []
    state = root.terraform.cmd("state list")
    assert "terraform_data.quick" in state.out.split()


def test_command_that_ignores_sigint_is_killed_with_its_process_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "GRACE_SECONDS", 0.5)
    binary = tmp_path / "terraform"
    binary.write_text(IGNORES_SIGINT)
    binary.chmod(0o755)

    with pytest.raises(CommandTimeoutError, match="ignored SIGINT and was killed"):
        Terraform(tmp_path, binary=str(binary)).apply(timeout=0.5)

    assert processes_with("86398.25") == []


def test_long_command_reports_progress(root_of: Callable[[str], Root], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "PROGRESS_SECONDS", 0.2)
    root = root_of(HANGING.replace("sleep 86399.25", "until test -e go; do sleep 0.1; done"))
    lines: list[str] = []

    def progress(line: str) -> None:
        lines.append(line)
        if line.endswith("1 done, waiting for terraform_data.hangs"):
            root.write("go", "")

    root.terraform.progress = progress

    assert root.terraform.apply(timeout=60).code == 0
    assert lines[-1].startswith("terraform apply, ")


def test_short_command_reports_no_progress(root: Root) -> None:
    lines: list[str] = []
    root.terraform.progress = lines.append

    root.apply()

    assert lines == []


def test_unknown_attribute_is_an_error_and_runs_nothing(tmp_path: Path) -> None:
    runner = Terraform(tmp_path, binary="/does/not/exist")

    with pytest.raises(AttributeError, match="has no 'aply'"):
        runner.aply()
    with pytest.raises(AttributeError):
        _ = copy.copy(runner).__wrapped__


def test_other_commands_are_passed_through(root: Root) -> None:
    assert root.terraform.validate(json=IsFlagged).code == 0
    assert root.terraform.version().out.startswith(("Terraform v", "OpenTofu v"))


def test_outputs_are_values(root: Root) -> None:
    assert root.apply(text="two") == {"text": "two", "given": "two"}
    assert root.terraform.output("text") == "two"
    assert root.output("text", str) == "two"
    with pytest.raises(TypeError, match="output text is 'two', not a dict"):
        root.output("text", dict)
    with pytest.raises(KeyError, match=r"no output txet; outputs are \['given', 'text'\]"):
        root.output("txet", str)


def test_outputs_are_validated_and_not_converted(root_of: Callable[[str], Root]) -> None:
    root = root_of(
        'output "one" {\n  value = 1\n}\noutput "yes" {\n  value = true\n}\n'
        'output "names" {\n  value = toset(["a", "b"])\n}\noutput "ports" {\n  value = { a = 1 }\n}\n'
    )
    root.apply()

    assert root.output("one", int) == root.output("one", float) == 1
    assert root.output("names", set[str]) == {"a", "b"}
    assert root.output("ports", dict[str, int]) == {"a": 1}
    with pytest.raises(TypeError, match="output yes is True, not a int"):
        root.output("yes", int)
    with pytest.raises(TypeError, match="output one is 1, not a str"):
        root.output("one", str)
    with pytest.raises(TypeError, match=r"output ports is {'a': 1}, not a dict\[str, str\]"):
        root.output("ports", dict[str, str])


def test_variables_override_a_variable_file(root: Root) -> None:
    file = root.write("given.tfvars", 'text = "file"')

    assert root.plan(var_file=file).outputs["given"] == "file"
    assert root.plan(var_file=file, text="word").outputs["given"] == "word"


def test_values_round_trip(root_of: Callable[[str], Root]) -> None:
    root = root_of('variable "value" {\n  type = any\n}\noutput "value" {\n  value = var.value\n}\n')

    values: list[Any] = [{"a": [1, None, True]}, 'ä $${b} "quoted"\n', [], False]
    for value in values:
        assert root.plan(value=value).outputs["value"] == value


def test_threads_share_an_instance(root_of: Callable[[str], Root]) -> None:
    root = root_of('variable "value" {}\noutput "value" {\n  value = var.value\n}\n')
    codes: dict[int, int] = {}

    def run(number: int) -> None:
        codes[number] = root.terraform.plan(var={"value": str(number)}, lock=False).code

    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == dict.fromkeys(range(6), 2)


def test_environment_is_added_to_the_process_environment(root: Root) -> None:
    root.terraform.environment["TF_VAR_text"] = "three"

    assert root.plan().outputs["given"] == "three"


def test_failed_init_reports_the_reason(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.write("main.tf", 'module "a" {\n  source = "./nowhere"\n}\n')

    with pytest.raises(TerraformError, match="Unreadable module directory"):
        root.init()
