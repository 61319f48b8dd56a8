"""The harness tested on roots of its own, which need neither a provider nor an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Root

# `terraform_data` is built into Terraform.
ROOT = """
variable "text" {
  type    = string
  default = "one"

  validation {
    condition     = length(var.text) <= 5
    error_message = "text must be at most 5 characters long, since the sign outside has no room for more of them than that, and it is lit."
  }
}

variable "replace" {
  type    = string
  default = "a"
}

resource "terraform_data" "first" {
  input            = var.text
  triggers_replace = var.replace
}

locals {
  through = terraform_data.first.output
}

resource "terraform_data" "second" {
  count = 2
  input = { text = local.through, fixed = "constant" }
}

output "text" {
  value = terraform_data.first.output
}

output "given" {
  value = var.text
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return make_root(tmp_path / "root", ROOT)


@pytest.fixture
def root_of(tmp_path: Path) -> Callable[[str], Root]:
    return lambda hcl: make_root(tmp_path / "other", hcl)


def make_root(folder: Path, hcl: str) -> Root:
    folder.mkdir()
    root = Root(folder)
    root.write("main.tf", hcl)
    root.init()
    return root
