"""The report of release-check for changes to a copy of the module."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.release.seeds import BREAKING, FEATURES, FIXES, Seed
from tools.release.changes import Change, Level, compare
from tools.release.check import check
from tools.release.errors import ReleaseError
from tools.release.interface import snapshot
from tools.release.records import MODULE

SEEDS = {**BREAKING, **FEATURES, **FIXES}


@pytest.mark.parametrize("name", SEEDS)
def test_change_has_its_level_and_message(name: str, project: Path) -> None:
    seed: Seed = SEEDS[name]
    seed.apply(project)

    report = check(project)

    assert str(report.level) == seed.level
    assert seed.message in str(max(report.changes, key=lambda change: change.level))


def test_same_module_has_no_changes(project: Path) -> None:
    assert check(project).changes == []


def test_descriptions_comments_and_formatting_are_ignored(project: Path) -> None:
    path = project / MODULE / "variables.tf"
    text = path.read_text().replace("  nullable = false\n", "  # always there\n  nullable   =   false\n")
    path.write_text(text.replace("CloudWatch alarms, each", "Alarms of CloudWatch, each"))
    assert check(project).changes == []


def test_quoted_and_heredoc_messages_are_equal() -> None:
    rule = "  validation {{\n    condition = var.x > 1\n    error_message = {}\n  }}\n"
    one = interface("  type = number\n" + rule.format('"Too low: x must be above 1."'))
    other = interface("  type = number\n" + rule.format("<<-EOT\n      Too low:\n        x must be above 1.\n    EOT"))
    assert compare(one, other) == []


def test_new_or_removed_object_is_one_change() -> None:
    old = interface("  type = object({ a = optional(object({ b = string })) })\n  default = {}\n")
    new = interface("  type = object({ c = optional(object({ d = string })) })\n  default = {}\n")
    assert lines(compare(old, new)) == ["x.a: removed", "x.c: new and optional"]


def test_validation_of_a_new_attribute_is_a_feature() -> None:
    rule = '  validation {\n    condition = var.x.n < 5\n    error_message = "x.n must be below 5."\n  }\n'
    old = interface("  type = object({ m = string })\n")
    new = interface("  type = object({ m = string, n = optional(number, 1) })\n" + rule)
    assert lines(compare(old, new)) == ['x: a refusal of what is new: "x.n must be below 5."', "x.n: new and optional"]


def test_validation_is_no_feature_because_another_variable_has_a_new_attribute_of_that_name() -> None:
    rule = '  validation {\n    condition = var.x.n < 5\n    error_message = "x.n must be below 5."\n  }\n'
    other = 'variable "y" {\n  type = object({ m = string, n = optional(number, 1) })\n}\nresource "aws_x" "this" {}\n'
    old = interface("  type = object({ n = number })\n", other.replace(", n = optional(number, 1)", ""))
    new = interface("  type = object({ n = number })\n" + rule, other)
    assert lines(compare(old, new)) == ['x: a new refusal: "x.n must be below 5."', "y.n: new and optional"]


def test_count_may_become_for_each_with_moved_instances() -> None:
    variable = "  type = string\n"
    old = interface(variable, 'resource "aws_x" "this" {\n  count = 1\n}\n')
    move = 'moved {\n  from = aws_x.this[0]\n  to = aws_x.this["a"]\n}\n'
    new = interface(variable, 'resource "aws_x" "this" {\n  for_each = toset(["a"])\n}\n' + move)
    assert lines(compare(old, new)) == []


def test_removed_moved_block_is_breaking() -> None:
    variable, resource = "  type = string\n", 'resource "aws_x" "b" {}\n'
    old = interface(variable, resource + "moved {\n  from = aws_x.a\n  to = aws_x.b\n}\n")
    (line,) = lines(compare(old, interface(variable, resource)))
    assert line.startswith("aws_x.a: its `moved` to aws_x.b is gone")


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        (">= 5.1, < 7", "~> 6.0", Level.BREAKING),
        (">= 5.1, < 6", ">= 5.1, < 6, != 5.4.2", Level.BREAKING),
        ("~> 5.1", ">= 5.1, < 6", Level.FIX),
        ("~> 5.1.2", "~> 5.1", Level.FEATURE),
        ("~> 5", ">= 5", Level.FIX),
        ("5.1.2", "= 5.1.2", Level.FIX),
        ("> 1.9", ">= 1.9", Level.FEATURE),
        ("", ">= 1", Level.BREAKING),
    ],
)
def test_version_ranges_are_compared_by_accepted_versions(old: str, new: str, level: Level) -> None:
    def requiring(constraint: str) -> dict[str, object]:
        terraform = f'terraform {{\n  required_version = "{constraint}"\n}}\n'
        return interface("  type = string\n", 'resource "aws_x" "this" {}\n' + terraform)

    assert [change.level for change in compare(requiring(old), requiring(new))] == [level]


def test_cycle_of_moves_ends() -> None:
    variable, move = "  type = string\n", "moved {{\n  from = aws_x.{}\n  to = aws_x.{}\n}}\n"
    old = interface(variable, 'resource "aws_x" "a" {}\n')
    new = interface(variable, 'resource "aws_x" "c" {}\n' + move.format("a", "b") + move.format("b", "a"))
    assert any("aws_x.a" in line for line in lines(compare(old, new)))


def test_folder_without_a_module_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is not a module"):
        snapshot(tmp_path)


def test_every_variable_and_output_is_in_the_snapshot(project: Path) -> None:
    current = snapshot(project / MODULE)
    for file, kind, names in (
        ("variables.tf", "variable", current["inputs"]),
        ("outputs.tf", "output", current["outputs"]),
    ):
        declared = re.findall(rf'^{kind} "(\w+)"', (project / MODULE / file).read_text(), re.MULTILINE)
        assert declared
        assert set(declared) <= set(names)


def interface(variable: str, resources: str = 'resource "aws_x" "this" {}\n') -> dict[str, object]:
    with TemporaryDirectory() as folder:
        Path(folder, "main.tf").write_text(f'variable "x" {{\n{variable}}}\n{resources}')
        return snapshot(Path(folder))


def lines(changes: list[Change]) -> list[str]:
    return [str(change) for change in changes]
