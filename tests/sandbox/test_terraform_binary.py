"""Terraform or OpenTofu: the program in the variable TERRAFORM, and its minimum version."""

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
    """Put a program on PATH that prints a given version."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("TERRAFORM", raising=False)

    def make(name: str, output: str) -> Path:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{output}'\necho 'on linux_amd64'\n")
        (tmp_path / name).chmod(0o755)
        return tmp_path / name

    return make


Tool = Callable[[str, str], Path]


@pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.9.0-rc1", "2.0.0"])
def test_supported_terraform_is_found(tool: Tool, version: str) -> None:
    tool("terraform", f"Terraform v{version}")
    assert str(terraform.find()) == f"Terraform {version}"
    assert terraform.find().product.registry == "registry.terraform.io"


@pytest.mark.parametrize("name", ["tofu", "./tofu", "/tofu"])
def test_variable_is_a_name_or_a_path(tool: Tool, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tool("terraform", "Terraform v1.11.4")
    path = tool("tofu", "OpenTofu v1.12.6")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("TERRAFORM", str(path) if name == "/tofu" else name)
    tofu = terraform.find()
    assert str(tofu) == "OpenTofu 1.12.6"
    assert tofu.product.registry == "registry.opentofu.org"
    # It is run in other folders.
    assert Path(tofu.program).is_absolute()
    assert Path(tofu.program).samefile(path)


@pytest.mark.parametrize(
    ("output", "product", "link"),
    [
        ("Terraform v1.8.5", "Terraform 1.8.5", "developer.hashicorp.com"),
        ("Terraform v0.15.0", "Terraform 0.15.0", "developer.hashicorp.com"),
        ("OpenTofu v1.8.9", "OpenTofu 1.8.9", "opentofu.org"),
    ],
)
def test_old_version_is_refused_with_the_minimum(tool: Tool, output: str, product: str, link: str) -> None:
    tool("terraform", output)
    with pytest.raises(SandboxError, match=rf"{product} is too old: the module needs 1\.9 or newer.*{link}"):
        terraform.find()


def test_other_program_is_refused(tool: Tool) -> None:
    tool("terraform", "hello")
    with pytest.raises(SandboxError, match="did not print a Terraform version, but 'hello"):
        terraform.find()


@pytest.mark.parametrize("name", ["", "tofu"])
def test_missing_program_is_reported_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TERRAFORM", name)
    with pytest.raises(
        SandboxError, match=f"^{name or 'terraform'} is not on PATH: install Terraform 1.9 .*TERRAFORM=tofu"
    ):
        terraform.find()


def test_only_the_selected_program_is_run(tmp_path: Path) -> None:
    """A literal `terraform` in a command would run HashiCorp's, whatever the variable."""
    sources = [path.read_text() for path in (ROOT / "sandbox").glob("*.py")]
    assert [text for text in sources if '["terraform"' in text] == []
    # Without the variable, it is the one on PATH.
    program = "from sandbox import terraform; print(terraform.program())"
    (tmp_path / "terraform").write_text("#!/bin/sh\n")
    (tmp_path / "terraform").chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "TERRAFORM"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "terraform")
