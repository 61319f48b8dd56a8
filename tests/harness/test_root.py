"""Roots under test: copies, the shared init, plan, apply and idempotence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import InitCache, PlanError, Root, TerraformError, copy_project


def test_refusal_has_terraforms_message_on_one_line(root: Root) -> None:
    with pytest.raises(PlanError, match="since the sign outside has no room for more of them than that, and it is lit"):
        root.plan(text="too long")


def test_undeclared_variable_is_an_error(root: Root) -> None:
    with pytest.raises(PlanError, match=r'Value for undeclared variable: .*"txet"'):
        root.plan(txet="two")
    with pytest.raises(PlanError, match="undeclared variable"):
        root.check(txet="two")
    with pytest.raises(PlanError, match="undeclared variable"):
        root.apply(txet="two")
    assert not (root.path / "terraform.tfstate").exists()


def test_three_undeclared_variables_are_an_error(root: Root) -> None:
    with pytest.raises(PlanError, match="undeclared variable"):
        root.plan(a="1", b="2", c="3")


def test_undeclared_variable_in_a_file_is_an_error(root: Root) -> None:
    with pytest.raises(PlanError, match=r'undeclared variable: .*"txet"'):
        root.plan(var_file=root.write("given.tfvars", 'txet = "two"'))


def test_failed_plan_removes_the_previous_plan_file(root: Root) -> None:
    root.plan()
    assert list(root.path.glob("*.tfplan"))

    with pytest.raises(PlanError):
        root.plan(text="too long")

    assert list(root.path.glob("*.tfplan")) == []


def test_stale_plan_is_refused(root: Root) -> None:
    root.plan(text="two")
    stale = root.path / "stale.tfplan"
    next(root.path.glob("*.tfplan")).rename(stale)
    root.apply(text="three")

    result = root.terraform.apply(stale.name)

    assert result.code == 1
    assert [d.summary for d in result.diagnostics] == ["Saved plan is stale"]


def test_apply_planned_applies_exactly_the_plan(root: Root) -> None:
    planned = root.plan(text="two")
    root.write("later.tf", 'output "later" {\n  value = "not in the plan"\n}\n')

    outputs = root.apply_planned()

    assert "later" not in outputs
    assert planned.changed
    assert root.applied == ({"text": "two"}, None)


def test_apply_planned_needs_a_successful_new_plan(root: Root) -> None:
    root.plan(text="two")
    with pytest.raises(PlanError):
        root.plan(text="too long")
    with pytest.raises(AssertionError, match="no plan to apply"):
        root.apply_planned()
    root.plan(text="two")
    root.apply_planned()
    with pytest.raises(AssertionError, match="no plan to apply"):
        root.apply_planned()


@pytest.mark.parametrize("sensitive", ["false", "true"])
def test_apply_returns_all_outputs_including_sensitive_ones(root: Root, sensitive: str) -> None:
    root.write("more.tf", f'output "more" {{\n  value     = toset(["a"])\n  sensitive = {sensitive}\n}}\n')

    outputs = root.apply(text="two")

    assert outputs == root.outputs()
    assert outputs["more"] == ["a"]


def test_assert_idempotent_passes_without_changes(root: Root) -> None:
    root.apply(text="two")

    root.assert_idempotent()


def test_assert_idempotent_names_each_change(root: Root) -> None:
    root.apply(text="two")
    main = root.path / "main.tf"
    root.write("main.tf", main.read_text().replace("= var.text", '= "three"', 1))

    with pytest.raises(AssertionError, match=r"terraform_data\.first: update: input, output"):
        root.assert_idempotent()


def test_assert_idempotent_needs_an_apply(root: Root) -> None:
    with pytest.raises(AssertionError, match="nothing is applied"):
        root.assert_idempotent()


def test_changed_output_is_a_change(root: Root) -> None:
    root.apply()
    root.write("more.tf", 'output "more" {\n  value = 1\n}\n')

    with pytest.raises(AssertionError, match="output more: create"):
        root.assert_idempotent()


def test_replacement_is_a_destroy(root: Root) -> None:
    root.apply()

    plan = root.plan(replace="b")

    assert not plan.no_destroys
    assert plan.destroyed == ["terraform_data.first"]
    assert root.plan(text="two").no_destroys


def test_rename_is_a_destroy_without_a_moved_block(root: Root) -> None:
    root.apply()
    main = root.path / "main.tf"
    main.write_text(
        main.read_text().replace("terraform_data.first", "terraform_data.renamed").replace('"first"', '"renamed"')
    )

    assert root.plan().destroyed == ["terraform_data.first"]
    root.write("moved.tf", "moved {\n  from = terraform_data.first\n  to   = terraform_data.renamed\n}\n")
    plan = root.plan()
    assert plan.no_destroys
    assert plan.moved == {"terraform_data.first": "terraform_data.renamed"}


def test_destroy_may_be_called_twice(root: Root) -> None:
    root.apply(text="two")

    root.destroy()
    root.destroy()

    assert root.terraform.cmd("state list").out == ""


def test_failed_apply_reports_the_reason_and_can_be_destroyed(root_of: Callable[[str], Root]) -> None:
    root = root_of(
        'resource "terraform_data" "made" {}\n'
        'resource "terraform_data" "fails" {\n  depends_on = [terraform_data.made]\n'
        '  provisioner "local-exec" {\n    command = "exit 3"\n  }\n}\n'
    )

    with pytest.raises(TerraformError, match=r"local-exec provisioner error.*exit status 3"):
        root.apply()
    assert "terraform_data.made" in root.terraform.cmd("state list").out

    root.destroy()
    assert root.terraform.cmd("state list").out == ""


def test_dependencies_resolve_locals(root: Root) -> None:
    assert root.dependencies() == {
        "terraform_data.first": frozenset(),
        "terraform_data.second": frozenset({"terraform_data.first"}),
    }


def test_dependencies_are_the_same_from_opentofus_graph(
    root_of: Callable[..., Root], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_of(
        'resource "terraform_data" "first" {}\n'
        'module "sub" {\n  source = "./sub"\n  given  = terraform_data.first.id\n}\n'
        'resource "terraform_data" "last" {\n  count = 2\n  input = module.sub.made\n}\n'
        'resource "terraform_data" "apart" {}\n'
        'check "first" {\n  assert {\n    condition = terraform_data.first.id != ""\n    error_message = "none"\n  }\n}\n',
        'variable "given" {}\nresource "terraform_data" "of" {\n  for_each = toset(["a"])\n  input = var.given\n}\n'
        'output "made" {\n  value = terraform_data.of["a"].output\n}\n',
    )
    expected = root.dependencies()
    graph = root.terraform.graph
    # The format of OpenTofu's graph, and of Terraform's before 1.7. `-type=plan` still prints it.
    monkeypatch.setattr(root.terraform, "graph", lambda: graph(type="plan"), raising=False)

    assert root.dependencies() == expected
    assert expected["terraform_data.last"] == {"terraform_data.first", "module.sub.terraform_data.of"}
    assert expected["terraform_data.apart"] == frozenset()


def test_copy_omits_working_files_and_keeps_relative_paths(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in (
        "a/main.tf",
        "pytest-cache-files-1/z",
        "a/.terraform/x",
        "a/terraform.tfstate",
        ".venvs/dev/y",
        ".git/z",
        "b/c/d.txt",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("text")

    copy = copy_project(project, tmp_path / "copy")

    assert {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()} == {"a/main.tf", "b/c/d.txt"}
    part = copy_project(project, tmp_path / "part", ["b/c"])
    assert [p.relative_to(part).as_posix() for p in part.rglob("*") if p.is_file()] == ["b/c/d.txt"]
    with pytest.raises(FileNotFoundError):
        copy_project(project, tmp_path / "none", ["misspelt"])


def test_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no root module to test"):
        Root(tmp_path / "nowhere")


def test_equal_roots_share_one_init(tmp_path: Path) -> None:
    cache = InitCache(tmp_path / "cache")

    def initialise(name: str, hcl: str) -> Root:
        (tmp_path / name).mkdir()
        root = Root(tmp_path / name)
        root.write("main.tf", hcl)
        root.write("sub/main.tf", 'output "x" {\n  value = 1\n}\n')
        root.init(cache)
        return root

    hcl = 'module "sub" {\n  source = "./sub"\n}\n'
    first, second = initialise("first", hcl), initialise("second", hcl)
    third = initialise("third", hcl.replace('"sub"', '"other"', 1))

    data = [root.terraform.environment["TF_DATA_DIR"] for root in (first, second, third)]
    assert data[0] == data[1] != data[2]
    assert not (second.path / ".terraform").exists()
    second.plan()
    third.plan()


def test_failed_init_is_not_cached(tmp_path: Path) -> None:
    cache = InitCache(tmp_path / "cache")
    root = Root(tmp_path)
    root.write("main.tf", 'module "sub" {\n  source = "./sub"\n}\n')

    with pytest.raises(TerraformError):
        root.init(cache)
    with pytest.raises(TerraformError):
        root.init(cache)
    root.write("sub/main.tf", "")
    root.init(cache)
    root.plan()
