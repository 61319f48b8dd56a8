"""Scenarios as data: each tfvars file plans what its yaml twin states."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest

from harness import Plan, Root, Scenario, dropped_attributes, scenarios

SCENARIOS = scenarios(Path(__file__).parent / "scenarios")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario_plans_its_inventory(scenario: Scenario, plan: Callable[..., Plan]) -> None:
    planned = plan(var_file=scenario.tfvars)

    scenario.check(planned)
    assert [str(warning) for warning in planned.warnings] == []
    assert planned.no_destroys


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario_gives_nothing_that_the_module_does_not_know(scenario: Scenario, interface: Root) -> None:
    plan = interface.plan(var_file=scenario.tfvars)

    given = {name: stated["value"] for name, stated in plan.raw["variables"].items()}
    assert dropped_attributes(given, plan.outputs["taken"]) == []


def test_every_input_is_given_in_a_scenario(interface: Root) -> None:
    known, given = set(), set()
    for scenario in SCENARIOS:
        plan = interface.plan(var_file=scenario.tfvars)
        known |= set(inputs(plan.outputs["taken"]))
        # A plan states the variables that are not given, too: with their defaults.
        named = hcl2.loads(scenario.tfvars.read_text()).keys()
        given |= set(inputs({k: stated["value"] for k, stated in plan.raw["variables"].items() if k in named}))

    assert sorted(known - given) == []


def inputs(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield each variable, and the attributes of those that are objects: `function.memory_mb`."""
    for name, value in values.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{attribute}" for attribute in value)
