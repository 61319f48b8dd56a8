"""Scenarios as data: each tfvars file plans what its yaml twin states. All are planned at once, each as a call of the module."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import hcl2
import pytest

from harness import Plan, Root, Scenario, dropped_attributes
from sandbox.paths import MODULE
from tests.infra.conftest import CONTEXT, PROVIDERS, SCENARIOS, Given, literal


@pytest.fixture(scope="module")
def plans(
    given: Mapping[str, Given], terraform_roots: Callable[[str, Mapping[str, str] | None], Root]
) -> Mapping[str, Plan]:
    """Each scenario's part of one plan."""
    calls = {name: {"source": f"./{MODULE}", **literal(scenario.inputs)} for name, scenario in given.items()}
    outputs = {name: {"value": f"${{module.{name}}}"} for name in given}
    root = {"main.tf.json": json.dumps({"module": calls, "output": outputs}), "providers.tf": PROVIDERS}
    plan = terraform_roots(".", root | CONTEXT).plan()
    return {name: _part(plan, name) for name in given}


def _part(plan: Plan, name: str) -> Plan:
    """Return what a plan holds of one call, as if the module had been planned by itself, outputs included."""
    outputs = plan.raw["output_changes"][name]
    unknown = frozenset(output for output, hidden in outputs["after_unknown"].items() if hidden)
    module = plan.raw["configuration"]["root_module"]["module_calls"][name]["module"]
    return replace(
        plan.within(f"module.{name}"),
        outputs={output: value for output, value in outputs["after"].items() if output not in unknown},
        unknown_outputs=unknown,
        raw={"configuration": {"root_module": module}},
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario_plans_its_inventory(scenario: Scenario, plans: Mapping[str, Plan]) -> None:
    planned = plans[scenario.name]

    scenario.check(planned)
    assert [str(warning) for warning in planned.warnings] == []
    assert planned.no_destroys


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario_gives_nothing_that_the_module_does_not_know(scenario: Scenario, given: Mapping[str, Given]) -> None:
    stated = given[scenario.name]

    assert dropped_attributes(stated.inputs, stated.taken) == []


def test_every_input_is_given_in_a_scenario(given: Mapping[str, Given]) -> None:
    known, stated = set(), set()
    for scenario in SCENARIOS:
        found = given[scenario.name]
        known |= set(inputs(found.taken))
        # A plan states the variables that are not given, too: with their defaults.
        named = hcl2.loads(scenario.tfvars.read_text()).keys()
        stated |= set(inputs({name: value for name, value in found.inputs.items() if name in named}))

    assert sorted(known - stated) == []


def inputs(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield each variable, and the attributes of those that are objects: `function.memory_mb`."""
    for name, value in values.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{attribute}" for attribute in value)
