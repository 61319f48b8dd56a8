"""The tables of inputs, outputs and resources in READMEs equal terraform-docs' own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.paths import ROOT
from tools import terraform_docs

FOLDERS = sorted(path.parent.relative_to(ROOT).as_posix() for path in terraform_docs.readmes())
# What terraform-docs 0.22.0 writes for it, with the project's configuration.
CONFIGURATION = """
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6"
    }
  }
}

variable "replicas" {
  description = <<-EOT
    Replicas: a | b, `a|b`.
    - one

    Two.
  EOT
  type = object({
    names = list(string)
    zone  = optional(map(string), {})
  })
  default = { names = ["x", "ä"], zone = { a = 1, b = true } }
}

variable "any_team" {
  description = "Owner."
  type        = string
}

output "secret" {
  description = "Password."
  value       = 1
  sensitive   = true
}
"""
TABLES = """## Inputs

| Name | Description | Type | Default | Required |
| ---- | ----------- | ---- | ------- | :------: |
| any_team | Owner. | `string` | n/a | yes |
| replicas | Replicas: a \\| b, `a|b`.<br/>- one<br/><br/>Two. | <pre>object({<br/>    names = list(string)<br/>    zone  = optional(map(string), {})<br/>  })</pre> | <pre>{<br/>  "names": [<br/>    "x",<br/>    "ä"<br/>  ],<br/>  "zone": {<br/>    "a": 1,<br/>    "b": true<br/>  }<br/>}</pre> | no |

## Outputs

| Name | Description |
| ---- | ----------- |
| secret | Password. |"""  # noqa: E501  # as terraform-docs writes it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    shutil.copy(ROOT / terraform_docs.CONFIG, tmp_path)
    return tmp_path


def test_every_module_and_example_has_the_tables() -> None:
    expected = [path.parent for kind in ("modules", "examples") for path in ROOT.glob(f"{kind}/*/main.tf")]
    assert {path.relative_to(ROOT).as_posix() for path in expected} <= set(FOLDERS)


def test_tables_equal_the_recorded_output(folder: Path) -> None:
    assert terraform_docs.render(folder) == TABLES


def test_unknown_section_is_an_error(folder: Path) -> None:
    (folder / terraform_docs.CONFIG).write_text("sections: {show: [header]}\n")
    with pytest.raises(SystemExit, match="no section header"):
        terraform_docs.render(folder)


@pytest.fixture(scope="module")
def program() -> str:
    path = shutil.which("terraform-docs")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout if path else ""
    # .terraform-docs.yml has the same range: another version's output may differ.
    if path is None or not re.search(r"\bv0\.22\.", version):
        pytest.skip("terraform-docs 0.22 is not installed: CI compares its output with the READMEs")
    return path


def test_recorded_output_is_that_of_terraform_docs(program: str, folder: Path) -> None:
    subprocess.run([program, str(folder)], check=True, capture_output=True)
    assert (folder / "README.md").read_text() == f"{terraform_docs.BEGIN}\n{TABLES}\n{terraform_docs.END}"


@pytest.mark.parametrize("name", FOLDERS)
def test_readme_is_what_terraform_docs_writes(program: str, name: str) -> None:
    command = [program, "--output-check", name]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
