"""The Terraform that the sandbox runs, HashiCorp's or OpenTofu: what the environment variable TERRAFORM names."""

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
    """A Terraform: where its providers come from by default, and the oldest version that the module works with."""

    name: str
    registry: str
    least: tuple[int, int]
    install: str


# Each counts its versions by itself. Of both it is the first whose validations may refer to several variables.
TERRAFORM = Product("Terraform", "registry.terraform.io", (1, 9), "https://developer.hashicorp.com/terraform/install")
OPENTOFU = Product("OpenTofu", "registry.opentofu.org", (1, 9), "https://opentofu.org/docs/intro/install")
PRODUCTS = {product.name: product for product in (TERRAFORM, OPENTOFU)}


@dataclass(frozen=True)
class Terraform:
    """A Terraform that is there, and new enough."""

    program: str
    product: Product
    version: str

    def __str__(self) -> str:
        return f"{self.product.name} {self.version}"


def program() -> str:
    """Return the path of the program; SandboxError when there is none of that name."""
    name = os.environ.get(VARIABLE) or "terraform"
    found = shutil.which(name)
    if found is None:
        least = ".".join(map(str, TERRAFORM.least))
        raise SandboxError(
            f"{name} is not on PATH: install {TERRAFORM.name} {least} or newer, {TERRAFORM.install}, "
            f"or name another, OpenTofu's for one: make up {VARIABLE}=tofu"
        )
    # Not resolved: a version manager's link is told by its name which program it stands for.
    return str(Path(found).absolute())


def find() -> Terraform:
    """Return the Terraform to use; SandboxError when it is missing, no Terraform at all, or older than the module needs."""
    path = program()
    answer = subprocess.run(
        [path, "version"],
        env=os.environ | {"CHECKPOINT_DISABLE": "1"},  # it would ask the internet for a newer one
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.search(r"^(Terraform|OpenTofu) v((\d+)\.(\d+)\S*)", answer, re.MULTILINE)
    if found is None:
        raise SandboxError(
            f"`{path} version` does not tell the version of a Terraform, but {answer.strip()[:200]!r}: "
            f"name another program, make up {VARIABLE}=…"
        )
    name, version, major, minor = found.groups()
    product = PRODUCTS[name]
    if (int(major), int(minor)) < product.least:
        raise SandboxError(
            f"{name} {version} is too old: {'.'.join(map(str, product.least))} is the least, since the module's validations look at "
            f"several variables at once. Install a newer one, {product.install}, or name another, make up {VARIABLE}=…"
        )
    return Terraform(path, product, version)
