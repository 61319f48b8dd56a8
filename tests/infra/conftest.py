"""The module, planned as a root module against the run's emulator. Nothing is applied."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import Plan, Root, scenarios
from sandbox.overrides import AWS_PROVIDER
from sandbox.paths import MODULE

# The module has no provider block: its root does. With this file the module is a root itself, so that tests use its own
# variables, addresses and outputs, without a wrapper to keep in sync.
PROVIDERS = f"""
{AWS_PROVIDER}
provider "docker" {{}}
"""
# Files that a plan needs next to the module. Tests that change them use their own copy.
CONTEXT = {"app/Dockerfile": "FROM scratch\nCOPY . /\n", "app/main.py": "print('hello')\n"}
MODULE_FILES = {"providers.tf": PROVIDERS, **CONTEXT}

# The required inputs alone.
REQUIRED: Mapping[str, Any] = {"name": "orders", "image": {"build": {"context": "app"}}, "auth": {"iam": {}}}

URI = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:" + "0" * 64


@pytest.fixture(scope="session")
def module(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Root:
    """The module as a root, shared by all tests that do not change its files."""
    return terraform_roots(MODULE, MODULE_FILES)


@pytest.fixture(scope="session")
def interface(terraform_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The module's variables alone: all validations, and no provider to start (0.1 s per plan).

    Its output `converted` has the variables after type conversion, in which Terraform drops unknown attributes.
    """
    root = Root(tmp_path_factory.mktemp("interface"))
    variables = (terraform_project / MODULE / "variables.tf").read_text()
    names = re.findall(r'^variable "(\w+)"', variables, re.MULTILINE)
    root.write("variables.tf", variables)
    root.write(
        "converted.tf", f'output "converted" {{\n  value = {{ {", ".join(f"{n} = var.{n}" for n in names)} }}\n}}\n'
    )
    for name, text in {**CONTEXT, "other/Dockerfile": "FROM scratch\n"}.items():
        root.write(name, text)
    (root.path / "empty").mkdir()
    return root


def literal(value: Any) -> Any:
    """Escape a value for JSON configuration, in which strings are templates."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: literal(inner) for key, inner in value.items()}
    return [literal(inner) for inner in value] if isinstance(value, list) else value


SCENARIOS = scenarios(Path(__file__).parent / "scenarios")


@dataclass(frozen=True)
class ScenarioInputs:
    """A scenario's tfvars file: its inputs, and these after conversion to the module's types."""

    inputs: dict[str, Any]
    converted: dict[str, Any]


@pytest.fixture(scope="session")
def scenario_inputs(
    interface: Root, once_per_run: Callable[[str, Callable[[], Any]], Any]
) -> Mapping[str, ScenarioInputs]:
    """Each scenario's inputs, by name; read once per test run."""

    def read() -> dict[str, Any]:
        plans = {scenario.name: interface.plan(var_file=scenario.tfvars) for scenario in SCENARIOS}
        return {
            name: {
                "inputs": {name: variable["value"] for name, variable in plan.raw["variables"].items()},
                "converted": plan.outputs["converted"],
            }
            for name, plan in plans.items()
        }

    return {name: ScenarioInputs(**fields) for name, fields in once_per_run("scenarios", read).items()}


@pytest.fixture(scope="session")
def plan(module: Root) -> Callable[..., Plan]:
    """Plan the module with the required inputs and those given, or with a `var_file` alone."""

    def run(*, var_file: Path | None = None, **variables: Any) -> Plan:
        return module.plan({} if var_file else REQUIRED, var_file=var_file, **variables)

    return run


@pytest.fixture(scope="session")
def minimal_plan(plan: Callable[..., Plan]) -> Plan:
    """The plan with the required inputs alone."""
    return plan()
