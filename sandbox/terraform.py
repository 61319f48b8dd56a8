"""The Terraform or OpenTofu that the sandbox runs: the environment variable TERRAFORM."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

VARIABLE = "TERRAFORM"


@dataclass(frozen=True)
class Product:
    """Terraform or OpenTofu: its default provider registry, and the oldest version that the module supports."""

    name: str
    registry: str
    least: tuple[int, int]
    install: str


# Versions are numbered separately. In both, 1.9 is the first whose validations may refer to other variables.
TERRAFORM = Product("Terraform", "registry.terraform.io", (1, 9), "https://developer.hashicorp.com/terraform/install")
OPENTOFU = Product("OpenTofu", "registry.opentofu.org", (1, 9), "https://opentofu.org/docs/intro/install")
PRODUCTS = {product.name: product for product in (TERRAFORM, OPENTOFU)}


@dataclass(frozen=True)
class Terraform:
    """An installed, supported Terraform or OpenTofu."""

    program: str
    product: Product
    version: str

    def __str__(self) -> str:
        return f"{self.product.name} {self.version}"


def program() -> str:
    """Return the path of the program; SandboxError when it is not on PATH."""
    name = os.environ.get(VARIABLE) or "terraform"
    path = shutil.which(name)
    if path is None:
        minimum = ".".join(map(str, TERRAFORM.least))
        raise SandboxError(
            f"{name} is not on PATH: install {TERRAFORM.name} {minimum} or newer, {TERRAFORM.install}, "
            f"or use another, such as OpenTofu: make up {VARIABLE}=tofu"
        )
    # Symlinks are not resolved: a version manager's shim depends on its own name.
    return str(Path(path).absolute())


def find() -> Terraform:
    """Return the Terraform to use. SandboxError when it is missing, too old, or not Terraform."""
    path = program()
    output = subprocess.run(
        [path, "version"],
        env=os.environ | {"CHECKPOINT_DISABLE": "1"},  # no request for a newer version
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    match = re.search(r"^(Terraform|OpenTofu) v((\d+)\.(\d+)\S*)", output, re.MULTILINE)
    if match is None:
        raise SandboxError(
            f"`{path} version` did not print a Terraform version, but {output.strip()[:200]!r}: "
            f"use another program, make up {VARIABLE}=…"
        )
    name, version, major, minor = match.groups()
    product = PRODUCTS[name]
    if (int(major), int(minor)) < product.least:
        raise SandboxError(
            f"{name} {version} is too old: the module needs {'.'.join(map(str, product.least))} or newer, for validations that refer "
            f"to other variables. Install it, {product.install}, or use another program, make up {VARIABLE}=…"
        )
    return Terraform(path, product, version)
