"""Roots for the harness's own tests, which need neither a provider nor an account."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Root
from sandbox import paths

HARNESS = paths.ROOT / "harness"

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

# One resource is created; the other's provisioner never ends.
HANGING = """
resource "terraform_data" "quick" {}
resource "terraform_data" "hangs" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "sleep 86399.25"
  }
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return make_root(tmp_path / "root", ROOT)


@pytest.fixture
def root_of(tmp_path: Path) -> Callable[..., Root]:
    return lambda hcl, sub="": make_root(tmp_path / "other", hcl, sub)


def make_root(folder: Path, hcl: str, sub: str = "") -> Root:
    """Return an initialised root with a module in its folder `sub`."""
    folder.mkdir()
    root = Root(folder)
    root.write("main.tf", hcl)
    root.write("sub/main.tf", sub)
    root.init()
    return root


def processes_with(text: str) -> list[str]:
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and text in command:
            commands.append(command)
    return commands


@dataclass(frozen=True)
class Project:
    """Another project, with a copy of the harness."""

    path: Path

    def pytest(self, *arguments: str, **environment: str) -> str:
        """Run its tests and return pytest's output."""
        with self.start(*arguments, **environment) as running:
            return running.communicate()[0]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start its tests in isolated mode, so that nothing of this project can be imported."""
        code = "import sys, pytest; sys.path.insert(0, '.'); sys.exit(pytest.main(sys.argv[1:]))"
        return subprocess.Popen(
            [sys.executable, "-I", "-c", code, "-q", *arguments],
            cwd=self.path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def applied(self) -> Path:
        """The applied root that its last test recorded."""
        return Path((self.path / "applied").read_text())

    def state(self) -> str:
        return (self.applied() / "terraform.tfstate").read_text()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """A folder with only a copy of the harness."""
    copy_harness(tmp_path)
    return Project(tmp_path)


def copy_harness(folder: Path) -> None:
    shutil.copytree(HARNESS, folder / "harness", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
