"""Both sides in a copy of the project, and the endpoint that is added to each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scorecard import deployed, sides
from benchmarks.scorecard.bill import Paid, paid
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.sides import CODE, ROOTS, SIDES, Added
from harness import Plan, Root
from sandbox import overrides, paths

PATHS = """
import json
from service.app import create_app
print(json.dumps(create_app().openapi()["paths"]))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return sides.copied(tmp_path / "copy")


@pytest.fixture
def root(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Root:
    return terraform_roots(paths.LEGACY, {overrides.NAME: overrides.AWS_PROVIDER})


def lines(text: str) -> int:
    return len(text.splitlines())


@pytest.mark.parametrize(("side", "folder"), [("old", paths.LEGACY), ("new", "service")])
def test_the_endpoints_lines_are_those_of_its_files(side: str, folder: str, copy: Path) -> None:
    before = sides.sources(copy / folder, "*.*")
    added = sides.add_endpoint(side, copy)
    after = sides.sources(copy / folder, "*.*")

    grown = sum(map(lines, after.values())) - sum(map(lines, before.values()))
    assert grown == added.lines - added.removed_lines
    assert len(after) - len(before) == added.new_files
    assert sum(after[name] != text for name, text in before.items()) == added.changed_files


def test_only_the_old_endpoint_has_terraform(copy: Path) -> None:
    old, new = (sides.add_endpoint(side, copy) for side in SIDES)
    assert old.terraform_lines > 0
    assert (new.terraform_lines, new.new_files) == (0, 0)


def test_the_new_endpoint_is_served_with_the_scope_of_its_resource(copy: Path) -> None:
    sides.add_endpoint("new", copy)
    environment = os.environ | {"TABLE_NAME": "none"}
    shown = subprocess.run([sys.executable, "-c", PATHS], cwd=copy, env=environment, capture_output=True, check=True)
    operation = json.loads(shown.stdout.splitlines()[-1])["/customers/{customer_id}/contact"]["get"]

    assert [scope for entry in operation["security"] for scopes in entry.values() for scope in scopes] == [
        "customers:read"
    ]


def test_the_old_endpoint_adds_a_function_with_its_own_role_group_and_route(root: Root) -> None:
    before = root.plan(issuer="https://login.example.com")
    sides.add_endpoint("old", root.path.parent.parent)
    after = root.plan(issuer="https://login.example.com")

    added = {kind: after.counts[kind] - before.counts.get(kind, 0) for kind in after.counts}
    assert {kind: number for kind, number in added.items() if number} == {
        "aws_api_gateway_integration": 1,
        "aws_api_gateway_method": 1,
        "aws_api_gateway_resource": 1,
        "aws_cloudwatch_log_group": 1,
        "aws_iam_role": 1,
        "aws_iam_role_policy": 1,
        "aws_lambda_function": 1,
        "aws_lambda_permission": 1,
        "terraform_data": 1,
    }
    assert len(paid(before).memory_mb) + 1 == len(paid(after).memory_mb)


def test_a_patch_that_does_not_fit_is_named(copy: Path) -> None:
    sides.add_endpoint("new", copy)
    with pytest.raises(
        ScorecardError, match=r"^service\.patch does not fit the project any more: .* git says: error: patch failed"
    ):
        sides.add_endpoint("new", copy)


def test_new_edited_removed_and_terraform_lines_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches/legacy.patch").write_text(
        "diff --git a.tf a.tf\n--- a.tf\n+++ a.tf\n@@ -1,2 +1,3 @@\n one\n-two\n+2\n+3\n"
        "diff --git b.py b.py\nnew file mode 100644\n--- /dev/null\n+++ b.py\n@@ -0,0 +1 @@\n+x = 1\n"
    )
    (tmp_path / "a.tf").write_text("one\ntwo\n")

    added = sides.add_endpoint("old", tmp_path, tmp_path / "patches")

    assert added == Added(new_files=1, changed_files=1, lines=3, terraform_lines=2, removed_lines=1)
    assert (tmp_path / "a.tf").read_text() == "one\n2\n3\n"


def test_terraform_is_counted_without_blanks_and_comments(tmp_path: Path) -> None:
    (tmp_path / "a.tf").write_text("# a\nlocals {\n\n  a = 1 # one\n}\n")
    (tmp_path / "b.tf").write_text("locals {}\n")
    (tmp_path / "c.txt").write_text("not Terraform\n")
    assert sides.terraform_size(tmp_path) == (2, 4)


def test_each_function_has_its_requirements_and_the_service_has_pins(copy: Path) -> None:
    required = sides.requirements(copy)
    assert len(required) == len(list((copy / CODE["old"]).iterdir())) == 10
    assert all(required.values())
    assert {name.partition("==")[0] for name in sides.pinned(copy)} >= {"fastapi", "mangum", "boto3"}


def test_archives_that_were_built_are_no_sources(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    for name in ("build/a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    assert sides.sources(tmp_path, "*.py") == {"b.py": "x = 1\n"}


@pytest.mark.parametrize("side", SIDES)
def test_the_routine_edit_changes_one_place_and_can_be_repeated(side: str, copy: Path) -> None:
    edit = deployed.EDITS[side]
    text = (copy / edit.file).read_text()
    for mark in ("(edit 1)", "(edit 2)"):
        text, changes = edit.text.subn(edit.replacement.format(mark=mark), text)
        assert changes == 1
    assert "(edit 2)" in text
    assert "(edit 1)" not in text


def test_both_sides_get_the_same_load() -> None:
    made = deployed.load(400, seed=3)
    ids = {resource: [f"{number:032}" for number in range(deployed.ITEMS + 60)] for resource in ("users", "customers")}
    sent = {side: [deployed.as_sent(side, request, ids, "x") for request in made] for side in SIDES}

    assert made == deployed.load(400, seed=3) != deployed.load(400, seed=4)
    assert {(request.operation, request.resource) for request in made} == {
        (operation, resource) for operation in deployed.MIX for resource in ("users", "customers")
    }
    for (old_method, old_path, _), (new_method, new_path, _) in zip(*sent.values(), strict=True):
        assert old_path == new_path
        assert (old_method, new_method) == ("PUT", "PATCH") or old_method == new_method
    deleted = [(request.resource, request.item) for request in made if request.operation == "delete"]
    assert len(deleted) == len(set(deleted))
    others = {(request.resource, request.item) for request in made if request.operation in {"get", "update"}}
    assert others.isdisjoint(deleted)


def test_what_a_bill_depends_on_is_read_from_the_plan() -> None:
    def change(kind: str, name: str, **values: Any) -> dict[str, Any]:
        return {
            "address": f"{kind}.{name}",
            "mode": "managed",
            "type": kind,
            "change": {"actions": ["create"], "before": None, "after": values},
        }

    changes = [
        change("aws_lambda_function", "a", function_name="p-AddUser", memory_size=256),
        change("aws_lambda_function", "g", function_name="p-GetUser", memory_size=128),
        change("aws_api_gateway_rest_api", "this"),
        change("aws_cloudwatch_metric_alarm", "one", metric_query=None),
        change(
            "aws_cloudwatch_metric_alarm",
            "two",
            metric_query=[{"metric": [{}]}, {"metric": [{}]}, {"metric": [], "expression": "a / b"}],
        ),
        change("aws_cloudwatch_log_metric_filter", "this"),
        change("aws_cloudwatch_dashboard", "this"),
    ]
    values = [{"address": each["address"], "mode": "managed", "values": each["change"]["after"]} for each in changes]
    shown = {"resource_changes": changes, "planned_values": {"root_module": {"resources": values}}}

    assert paid(Plan.read(shown, changed=True)) == Paid(
        (128, 256), "rest", alarm_metrics=3, custom_metrics=1, dashboards=1
    )
    assert paid(Plan.read({}, changed=False)) == Paid((), "http", 0, 0, 0)


def test_roots_exist() -> None:
    assert all((paths.ROOT / root).is_dir() for root in [*ROOTS.values(), *CODE.values()])
