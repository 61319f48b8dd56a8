"""Plans as data, and their comparison with an inventory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Plan, Root, ScenarioError, assert_contains, dropped_attributes, scenarios


def test_plan_is_keyed_by_address(root: Root) -> None:
    plan = root.plan(text="two")

    assert plan.changed
    assert plan.resources["terraform_data.first"].actions == ("create",)
    assert plan.values["terraform_data.first"]["input"] == "two"
    assert "output" not in plan.values["terraform_data.first"]
    assert plan.unknown["terraform_data.first"] == {"id", "output"}
    assert plan.counts == {"terraform_data": 3}
    assert plan.outputs == {"given": "two"}
    assert plan.unknown_outputs == {"text"}


def test_references_come_from_the_configuration(root: Root) -> None:
    plan = root.plan()

    assert "var.text" in plan.references("terraform_data.first", "input")
    assert plan.references("terraform_data.second[1]", "input") == {"local.through"}
    with pytest.raises(KeyError, match="does not set inptu; it sets"):
        plan.references("terraform_data.first", "inptu")
    with pytest.raises(KeyError, match=r"terraform_data\.third is not in the configuration"):
        plan.references("terraform_data.third", "input")


def test_within_uses_the_modules_own_addresses(root_of: Callable[[str], Root]) -> None:
    root = root_of("")
    root.write("main.tf", 'module "sub" {\n  source = "./sub"\n}\n')
    root.write("sub/main.tf", 'variable "a" {\n  default = 1\n}\nresource "terraform_data" "x" {\n  input = var.a\n}\n')
    root.init()

    plan = root.plan()

    assert plan.values["module.sub.terraform_data.x"]["input"] == 1
    part = plan.within("module.sub")
    assert part.values == {"terraform_data.x": {"input": 1, "triggers_replace": None}}
    assert part.references("terraform_data.x", "input") == {"var.a"}
    with pytest.raises(KeyError, match=r"no resource in module\.other"):
        plan.within("module.other")


def test_drift_is_not_a_change() -> None:
    drift = {
        "address": "a.b",
        "mode": "managed",
        "type": "a",
        "change": {"actions": ["update"], "before": {}, "after": {}},
    }
    unchanged = drift | {"change": {"actions": ["no-op"], "before": {}, "after": {}}}

    plan = Plan.read({"resource_drift": [drift], "resource_changes": [unchanged]}, changed=False)

    assert plan.described() == []
    assert plan.no_destroys


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}),
        ({"a": None}, {"a": "__missing__", "b": "__missing__"}),
        ({"a": '{"b": {"c": 1, "d": 2}}'}, {"a": {"b": {"c": 1}}}),
        ({"a": True}, {"a": True}),
    ],
)
def test_assert_contains_passes(actual: Any, expected: Any) -> None:
    assert_contains(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "difference"),
    [
        ({"a": 1}, {"a": 2}, "a: expected 2, got 1"),
        ({}, {"a": 1}, "a: expected 1, but it is absent or unknown until apply"),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, "a → c: expected 1, but it is absent"),
        ({"a": [1, 2]}, {"a": [1]}, "a: expected 1 items"),
        ({"a": [1]}, {"a": [2]}, r"a\[0\]: expected 2, got 1"),
        ({"a": 1}, {"a": "__missing__"}, "a: expected absent or unknown until apply, got 1"),
        ({"a": ""}, {"a": "__missing__"}, "a: expected absent or unknown until apply, got ''"),
        ({"a": True}, {"a": 1}, "a: expected 1, got True"),
        ({"a": "1"}, {"a": 1}, "a: expected 1, got '1'"),
        ({"a": "text"}, {"a": {"b": 1}}, "which is not JSON"),
        ({"a": 1}, {"a": {"b": 1}}, "expected a mapping"),
        ({"a": 1, "b": 2}, {"a": 0, "b": 0}, "(?s)a: expected 0.*b: expected 0"),
    ],
)
def test_assert_contains_reports_the_difference(actual: Any, expected: Any, difference: str) -> None:
    with pytest.raises(AssertionError, match=difference):
        assert_contains(actual, expected)


def test_dropped_attributes_are_named(root_of: Callable[[str], Root]) -> None:
    kind = "object({ size = number, parts = optional(list(object({ name = string })), []) })"
    root = root_of(f'variable "box" {{\n  type = {kind}\n}}\noutput "taken" {{\n  value = {{ box = var.box }}\n}}\n')
    given = {"box": {"size": 1, "sise": 2, "parts": [{"name": "lid", "nmae": "lib"}]}}

    assert dropped_attributes(given, root.plan(given).outputs["taken"]) == ["box.sise", "box.parts[0].nmae"]
    right = {"box": {"size": 1}}
    assert dropped_attributes(right, root.plan(right).outputs["taken"]) == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "has no scenario"),
        ({"a.tfvars": ""}, r"a\.tfvars has no a\.yaml"),
        ({"a.yaml": "counts: {x: 1}"}, r"a\.yaml has no a\.tfvars"),
        ({"a.tfvars": "", "a.yaml": "valeus: {x: 1}"}, r"unknown sections \['valeus'\]"),
        ({"a.tfvars": "", "a.yaml": ""}, "is empty: expected a mapping"),
        ({"a.tfvars": "", "a.yaml": "counts: {}"}, "section counts is empty"),
        ({"a.tfvars": "", "a.yml": "counts: {x: 1}"}, r"a\.yml is neither \.tfvars nor \.yaml"),
    ],
)
def test_scenario_without_any_check_is_an_error(files: dict[str, str], problem: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(ScenarioError, match=problem):
        scenarios(tmp_path)


def test_scenario_with_a_different_plan_fails(root: Root) -> None:
    file = root.write("scenarios/two.tfvars", 'text = "two"')
    root.write("scenarios/two.yaml", "values: {terraform_data.first: {input: one}}\ncounts: {terraform_data: 3}\n")

    (scenario,) = scenarios(file.parent)

    with pytest.raises(AssertionError, match=r"two, values:\nterraform_data\.first → input: expected 'one', got 'two'"):
        scenario.check(root.plan(var_file=scenario.tfvars))


@pytest.mark.parametrize(
    ("inventory", "unknown"),
    [
        ("values: {terraform_data.frist: __missing__}", r"no resource terraform_data\.frist"),
        ("values: {terraform_data.first: {inptu: __missing__}}", r"no attribute terraform_data\.first\.inptu"),
        ("counts: {terraform_dtaa: __missing__}", "no type terraform_dtaa"),
        ("outputs: {txet: __missing__}", "no output txet"),
    ],
)
def test_unknown_name_in_an_inventory_is_an_error(inventory: str, unknown: str, root: Root) -> None:
    file = root.write("scenarios/two.tfvars", 'text = "two"')
    root.write("scenarios/two.yaml", inventory)

    (scenario,) = scenarios(file.parent)

    with pytest.raises(ScenarioError, match=f"two: the root has {unknown}"):
        scenario.check(root.plan(var_file=scenario.tfvars))


def test_each_section_accepts_missing(root_of: Callable[[str], Root]) -> None:
    root = root_of('resource "terraform_data" "none" {\n  count = 0\n}\noutput "none" {\n  value = null\n}\n')
    file = root.write("scenarios/none.tfvars", "")
    missing = "values: {'terraform_data.none[0]': __missing__}\ncounts: {terraform_data: __missing__}\noutputs: {none: __missing__}"
    root.write("scenarios/none.yaml", missing)

    (scenario,) = scenarios(file.parent)

    scenario.check(root.plan(var_file=scenario.tfvars))
