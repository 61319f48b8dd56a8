"""Scenarios as data: each tfvars file plans the inventory in its YAML file. One plan covers all, each as a module call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import hcl2
import pytest

from harness import Plan, Root, Scenario, dropped_attributes
from sandbox.paths import MODULE
from tests.infra.conftest import CONTEXT, PROVIDERS, SCENARIOS, ScenarioInputs, literal


@pytest.fixture(scope="module")
def plans(
    scenario_inputs: Mapping[str, ScenarioInputs], terraform_roots: Callable[[str, Mapping[str, str] | None], Root]
) -> Mapping[str, Plan]:
    """Each scenario's part of one plan, by name."""
    calls = {name: {"source": f"./{MODULE}", **literal(scenario.inputs)} for name, scenario in scenario_inputs.items()}
    outputs = {name: {"value": f"${{module.{name}}}"} for name in scenario_inputs}
    root = {"main.tf.json": json.dumps({"module": calls, "output": outputs}), "providers.tf": PROVIDERS}
    plan = terraform_roots(".", root | CONTEXT).plan()
    return {name: _part(plan, name) for name in scenario_inputs}


def _part(plan: Plan, name: str) -> Plan:
    """Return one module call's part of a plan, outputs included, as if the module were the root."""
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
def test_scenario_has_no_unknown_attributes(scenario: Scenario, scenario_inputs: Mapping[str, ScenarioInputs]) -> None:
    values = scenario_inputs[scenario.name]

    assert dropped_attributes(values.inputs, values.converted) == []


def test_every_input_is_set_in_a_scenario(scenario_inputs: Mapping[str, ScenarioInputs]) -> None:
    declared, used = set(), set()
    for scenario in SCENARIOS:
        values = scenario_inputs[scenario.name]
        declared |= set(inputs(values.converted))
        # A plan also contains unset variables, with their defaults.
        names = hcl2.loads(scenario.tfvars.read_text()).keys()
        used |= set(inputs({name: value for name, value in values.inputs.items() if name in names}))

    assert sorted(declared - used) == []


def inputs(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield each variable's name, and each attribute of an object: `function.memory_mb`."""
    for name, value in values.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{attribute}" for attribute in value)
