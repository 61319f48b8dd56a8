"""The module, planned as a root of its own against the run's emulator; nothing is applied."""

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

# The module has no provider block: a root brings them. With this file beside it the module is a root itself, so that its
# variables, validations, addresses and outputs are what is tested, with nothing in between that would have to be kept alike.
PROVIDERS = f"""
{AWS_PROVIDER}
provider "docker" {{}}
"""
# What a plan needs to exist, next to the module; tests that change it take a copy of their own.
CONTEXT = {"app/Dockerfile": "FROM scratch\nCOPY . /\n", "app/main.py": "print('hello')\n"}
MODULE_FILES = {"providers.tf": PROVIDERS, **CONTEXT}

# The fewest inputs that plan.
LEAST: Mapping[str, Any] = {"name": "orders", "image": {"build": {"context": "app"}}, "auth": {"iam": {}}}

URI = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:" + "0" * 64


@pytest.fixture(scope="session")
def module(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Root:
    """The module as a root, shared by all tests that do not change its files."""
    return terraform_roots(MODULE, MODULE_FILES)


@pytest.fixture(scope="session")
def interface(terraform_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The module's variables alone. All validations are there, and without resources no provider is started: 0.1 s a plan.

    Its output `taken` is what becomes of the variables: Terraform drops an attribute that an object type does not have.
    """
    root = Root(tmp_path_factory.mktemp("interface"))
    variables = (terraform_project / MODULE / "variables.tf").read_text()
    names = re.findall(r'^variable "(\w+)"', variables, re.MULTILINE)
    root.write("variables.tf", variables)
    root.write("taken.tf", f'output "taken" {{\n  value = {{ {", ".join(f"{n} = var.{n}" for n in names)} }}\n}}\n')
    for name, text in {**CONTEXT, "other/Dockerfile": "FROM scratch\n"}.items():
        root.write(name, text)
    (root.path / "empty").mkdir()
    return root


def literal(value: Any) -> Any:
    """Return a value as JSON configuration states it, in which a string is a template."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: literal(inner) for key, inner in value.items()}
    return [literal(inner) for inner in value] if isinstance(value, list) else value


SCENARIOS = scenarios(Path(__file__).parent / "scenarios")


@dataclass(frozen=True)
class Given:
    """What Terraform reads from a scenario's tfvars file: the inputs, and what the module's types take of them."""

    inputs: dict[str, Any]
    taken: dict[str, Any]


@pytest.fixture(scope="session")
def given(interface: Root, once_per_run: Callable[[str, Callable[[], Any]], Any]) -> Mapping[str, Given]:
    """What each scenario gives, by name; read once for all tests of the run."""

    def read() -> dict[str, Any]:
        plans = {scenario.name: interface.plan(var_file=scenario.tfvars) for scenario in SCENARIOS}
        return {
            name: {
                "inputs": {variable: stated["value"] for variable, stated in plan.raw["variables"].items()},
                "taken": plan.outputs["taken"],
            }
            for name, plan in plans.items()
        }

    return {name: Given(**kept) for name, kept in once_per_run("scenarios", read).items()}


@pytest.fixture(scope="session")
def plan(module: Root) -> Callable[..., Plan]:
    """Plan the module with the fewest inputs and those given; with a `var_file`, with that alone."""

    def run(*, var_file: Path | None = None, **variables: Any) -> Plan:
        return module.plan({} if var_file else LEAST, var_file=var_file, **variables)

    return run


@pytest.fixture(scope="session")
def orders(plan: Callable[..., Plan]) -> Plan:
    """The plan of the fewest inputs, made once."""
    return plan()
