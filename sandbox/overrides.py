"""Terraform override files, written into a copy of a root: what it needs here, and an example must not contain."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

from sandbox import paths

NAME = "sandbox_override.tf"

# The provider's credential checks would call AWS, whatever the endpoint, and buckets have no host names here.
AWS_PROVIDER = """
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
# The emulator's registry replaces ECR's, and needs no login. With ECR's address and the emulator's token, the Docker
# provider's process exits, even in a plan.
DOCKER_PROVIDER = """
provider "docker" {{
  registry_auth {{
    address       = "http://{registry}"
    auth_disabled = true
  }}
}}
"""
# Values of the examples' required variables, for plans only: nothing requests these URLs.
REQUIRED_VARIABLES = {
    "environment": "dev",
    "jwt_audience": "people-api",
    "jwt_issuer": "https://login.example.com",
    "origin_secrets": ["only" * 8],
}
DECLARES_BACKEND = re.compile(r'^  backend "', re.MULTILINE)
DECLARES_DOCKER = re.compile(r'^provider "docker"', re.MULTILINE)
LOCAL_STATE = 'terraform {\n  backend "local" {}\n}\n'
AWS_ALIAS = re.compile(r'^provider "aws" \{\n  alias += "(\w+)"', re.MULTILINE)

# The emulator omits most attributes of alarms, so every plan would change them.
NO_ALARMS = "  alarms = null\n"
# For examples/complete, which is destroyed here.
UNPROTECTED = """resource "aws_dynamodb_table" "this" {
  deletion_protection_enabled = false
}
"""
# For examples/legacy-lambdas: the emulator returns empty access_log_settings for a stage without any, which a second plan would remove.
LEGACY = (
    AWS_PROVIDER
    + """
resource "aws_api_gateway_stage" "prod" {
  lifecycle {
    ignore_changes = [access_log_settings]
  }
}
"""
)
# Written into a copy of the module on an arm64 machine.
ARM64 = """# This machine's engine runs arm64 images, and others only with emulation.
locals {
  platform = "linux/arm64"
}

resource "aws_lambda_function" "this" {
  architectures = ["arm64"]
}
"""
EXAMPLE = """# Added by the sandbox: the emulator instead of AWS, its registry instead of ECR's, without login.
{providers}
{module}
{root}"""
MODULE = """module "{name}" {{
  repository = {{ force_delete = true, registry_host = "{registry}" }}
{arguments}}}
"""


def aws_provider(alias: str) -> str:
    """Return the override of the AWS provider's configuration with this alias."""
    return AWS_PROVIDER.replace("{\n", f'{{\n  alias = "{alias}"\n', 1)


def module_call(registry: str, arguments: str, name: str = "api") -> str:
    """Return the override of a call of the module, with these arguments."""
    return MODULE.format(name=name, registry=registry, arguments=arguments)


def applied(registry: str, module: str = "", root: str = "") -> str:
    """Return the override for applying an example. `module` is added to its module call, `root` to the root module."""
    providers = AWS_PROVIDER + DOCKER_PROVIDER.format(registry=registry)
    return EXAMPLE.format(providers=providers, module=module_call(registry, module), root=root)


def planned(root: Path) -> str:
    """Return the override for planning a root. It overrides only blocks that the root declares, as Terraform requires."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("*.tf")))
    docker = DOCKER_PROVIDER.format(registry="localhost") if DECLARES_DOCKER.search(sources) else ""
    required = [name for name in REQUIRED_VARIABLES if re.search(rf'^variable "{name}"', sources, re.MULTILINE)]
    variables = [f'variable "{name}" {{\n  default = {json.dumps(REQUIRED_VARIABLES[name])}\n}}\n' for name in required]
    aliased = map(aws_provider, AWS_ALIAS.findall(sources))
    state = LOCAL_STATE if DECLARES_BACKEND.search(sources) else ""
    return "".join([AWS_PROVIDER, *aliased, docker, state, *variables])


def native(machine: str = "") -> dict[str, str]:
    """Return files, text by path relative to an example, that make its module build and run for this machine's architecture.

    Empty on x86_64, the module's default. `machine` is the output of `uname -m`.
    """
    return (
        {f"../../{paths.MODULE}/native_override.tf": ARM64}
        if (machine or platform.machine()) in {"aarch64", "arm64"}
        else {}
    )
