"""Terraform override files: what a root needs to run here and no example may hold, added to a copy of it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from sandbox import paths

NAME = "sandbox_override.tf"

# The provider's checks of its login would ask AWS itself, wherever the endpoint points.
AWS_PROVIDER = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
# The emulator's registry stands for ECR's, and asks for no login. ECR's address with the token that the emulator gives for it
# would end the Docker provider's process, in a plan as well.
DOCKER_PROVIDER = """
provider "docker" {{
  registry_auth {{
    address       = "http://{registry}"
    auth_disabled = true
  }}
}}
"""
# What an example asks its user for, where it is only planned: nobody fetches anything from there.
ANSWERS = {"jwt_audience": "people-api", "jwt_issuer": "https://login.example.com"}
DECLARES_DOCKER = re.compile(r'^provider "docker"', re.MULTILINE)

# The emulator describes alarms without most of their attributes, so that every plan would change them.
NO_ALARMS = "  alarms = null\n"
# Of examples/complete, which is to be destroyed here.
UNPROTECTED = """resource "aws_dynamodb_table" "this" {
  deletion_protection_enabled = false
}
"""
# Beside the module's own files, in a copy of it, on such a machine.
ARM64 = """# The engine of this machine runs arm64 images; others only where somebody has set up an emulation.
locals {
  platform = "linux/arm64"
}

resource "aws_lambda_function" "this" {
  architectures = ["arm64"]
}
"""
EXAMPLE = """# What the sandbox adds to an example: an emulator instead of AWS, its registry instead of ECR's, and no login.
{providers}
module "api" {{
  repository = {{ force_delete = true, registry_host = "{registry}" }}
{module}}}

{root}"""


def applied(registry: str, module: str = "", root: str = "") -> str:
    """Return the override of an example that is applied; `module` is added to its module call, `root` beside it."""
    providers = AWS_PROVIDER + DOCKER_PROVIDER.format(registry=registry)
    return EXAMPLE.format(providers=providers, registry=registry, module=module, root=root)


def planned(root: Path) -> str:
    """Return the override of a root that is only planned. What the root does not declare cannot be overridden."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("*.tf")))
    docker = DOCKER_PROVIDER.format(registry="localhost") if DECLARES_DOCKER.search(sources) else ""
    asked = [name for name in ANSWERS if re.search(rf'^variable "{name}"', sources, re.MULTILINE)]
    answers = [f'variable "{name}" {{\n  default = "{ANSWERS[name]}"\n}}\n' for name in asked]
    return AWS_PROVIDER + docker + "".join(answers)


def native(machine: str = "") -> dict[str, str]:
    """Return the files, text by name relative to an example, that make its module build and run what this machine can run.

    None on x86_64, the module's own default. `machine` is what `uname -m` says.
    """
    return (
        {f"../../{paths.MODULE}/native_override.tf": ARM64}
        if (machine or platform.machine()) in {"aarch64", "arm64"}
        else {}
    )
