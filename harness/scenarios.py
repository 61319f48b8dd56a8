"""Scenarios as data: a `.tfvars` file with the inputs, and a `.yaml` of the same name with the inventory of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .assertions import assert_contains
from .errors import ScenarioError
from .plan import INDEX, Plan

SECTIONS = frozenset({"values", "counts", "outputs"})
"""The sections of an inventory, each an attribute of `Plan`."""


@dataclass(frozen=True)
class Scenario:
    """A scenario: its name, its inputs, and the expected values by section."""

    name: str
    tfvars: Path
    inventory: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    def check(self, plan: Plan) -> None:
        """Fail with all differences between the plan and the inventory.

        ScenarioError when the inventory names a resource, a type, an output or an attribute that the root does not have:
        `__missing__` would always hold for it.
        """
        if unknown := sorted(self._unknown_names(plan)):
            raise ScenarioError(f"{self.name}: the root has no {', no '.join(unknown)}")
        for section, expected in self.inventory.items():
            try:
                assert_contains(getattr(plan, section), expected)
            except AssertionError as error:
                raise AssertionError(f"{self.name}, {section}:\n{error}") from None

    def _unknown_names(self, plan: Plan) -> Iterator[str]:
        types = {address.split(".")[-2] for address in plan.declared}
        yield from (f"type {name}" for name in self.inventory.get("counts", {}) if name not in types)
        yield from (f"output {name}" for name in self.inventory.get("outputs", {}) if name not in plan.declared_outputs)
        for address, expected in self.inventory.get("values", {}).items():
            if INDEX.sub("", address) not in plan.declared:
                yield f"resource {address}"
            elif address in plan.values and isinstance(expected, dict):
                known = plan.values[address].keys() | {path.split(".")[0] for path in plan.unknown[address]}
                yield from (f"attribute {address}.{name}" for name in expected if name not in known)


def scenarios(folder: Path) -> list[Scenario]:
    """Return the scenarios of a folder by name. ScenarioError when one could pass without any check.

    That is: an empty folder, a `.tfvars` without its `.yaml` or the reverse, an inventory or a section that is empty, a
    section that is not one of SECTIONS, a file of any other kind.
    """
    files = sorted(path for path in folder.glob("*") if path.is_file())
    inputs = {path.stem: path for path in files if path.suffix == ".tfvars"}
    inventories = {path.stem: path for path in files if path.suffix == ".yaml"}
    problems = [
        f"{path.name} is neither .tfvars nor .yaml" for path in files if path.suffix not in {".tfvars", ".yaml"}
    ]
    problems += [f"{name}.tfvars has no {name}.yaml" for name in sorted(inputs.keys() - inventories.keys())]
    problems += [f"{name}.yaml has no {name}.tfvars" for name in sorted(inventories.keys() - inputs.keys())]
    if problems:
        raise ScenarioError(f"{folder}: {'; '.join(problems)}")
    if not inputs:
        raise ScenarioError(f"{folder} has no scenario: no .tfvars and no .yaml")
    return [Scenario(name, inputs[name], _inventory(inventories[name])) for name in sorted(inputs)]


def _inventory(path: Path) -> dict[str, Any]:
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(inventory, dict) or not inventory:
        raise ScenarioError(f"{path} is empty: expected a mapping of {sorted(SECTIONS)}")
    if unknown := sorted(set(inventory) - SECTIONS):
        raise ScenarioError(f"{path} has unknown sections {unknown}: expected {sorted(SECTIONS)}")
    for section, expected in inventory.items():
        if not isinstance(expected, dict) or not expected:
            raise ScenarioError(f"{path}: section {section} is empty")
    return inventory
