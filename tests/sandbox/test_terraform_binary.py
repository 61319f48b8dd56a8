"""Terraform or OpenTofu: the program that the variable TERRAFORM names, if it is new enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import terraform
from sandbox.errors import SandboxError
from sandbox.paths import ROOT


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program on PATH that prints what it is told to for its version."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("TERRAFORM", raising=False)

    def make(name: str, says: str) -> Path:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\necho 'on linux_amd64'\n")
        (tmp_path / name).chmod(0o755)
        return tmp_path / name

    return make


Tool = Callable[[str, str], Path]


@pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.9.0-rc1", "2.0.0"])
def test_a_terraform_that_is_new_enough_is_taken(tool: Tool, version: str) -> None:
    tool("terraform", f"Terraform v{version}")
    assert str(terraform.find()) == f"Terraform {version}"
    assert terraform.find().product.registry == "registry.terraform.io"


@pytest.mark.parametrize("name", ["tofu", "./tofu", "/tofu"])
def test_the_variable_names_another_by_name_or_path(tool: Tool, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tool("terraform", "Terraform v1.11.4")
    path = tool("tofu", "OpenTofu v1.12.6")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("TERRAFORM", str(path) if name == "/tofu" else name)
    found = terraform.find()
    assert str(found) == "OpenTofu 1.12.6"
    assert found.product.registry == "registry.opentofu.org"
    # It is run in other folders.
    assert Path(found.program).is_absolute()
    assert Path(found.program).samefile(path)


@pytest.mark.parametrize(
    ("says", "product", "link"),
    [
        ("Terraform v1.8.5", "Terraform 1.8.5", "developer.hashicorp.com"),
        ("Terraform v0.15.0", "Terraform 0.15.0", "developer.hashicorp.com"),
        ("OpenTofu v1.8.9", "OpenTofu 1.8.9", "opentofu.org"),
    ],
)
def test_one_that_is_too_old_is_refused_with_the_least_version(tool: Tool, says: str, product: str, link: str) -> None:
    tool("terraform", says)
    with pytest.raises(SandboxError, match=rf"{product} is too old: 1\.9 is the least.*{link}"):
        terraform.find()


def test_what_answers_but_is_no_terraform_is_refused(tool: Tool) -> None:
    tool("terraform", "hello")
    with pytest.raises(SandboxError, match="does not tell the version of a Terraform, but 'hello"):
        terraform.find()


@pytest.mark.parametrize("name", ["", "tofu"])
def test_a_missing_one_is_named_with_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TERRAFORM", name)
    with pytest.raises(
        SandboxError, match=f"^{name or 'terraform'} is not on PATH: install Terraform 1.9 .*TERRAFORM=tofu"
    ):
        terraform.find()


def test_nothing_but_the_chosen_program_is_run(tmp_path: Path) -> None:
    """A word `terraform` in the list of a command would run HashiCorp's, whatever the variable says."""
    sources = [path.read_text() for path in (ROOT / "sandbox").glob("*.py")]
    assert [text for text in sources if '["terraform"' in text] == []
    # And without the variable, it is what PATH has.
    program = "from sandbox import terraform; print(terraform.program())"
    (tmp_path / "terraform").write_text("#!/bin/sh\n")
    (tmp_path / "terraform").chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "TERRAFORM"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "terraform")
