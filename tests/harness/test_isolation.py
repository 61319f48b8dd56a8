"""A test run cannot reach the state that a root declares. Proved with real state."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import InitCache, IsolationError, PlanError, Retry, Root, Terraform, TerraformError, copy_project
from harness.isolation import LOCAL_STATE, OVERRIDE
from harness.kept import Kept
from harness.root import copied_root
from harness.terraform import default_binary
from sandbox.emulator import Emulator
from sandbox.paths import ROOT

RESOURCE = """
variable "name" {
  default = "real"
}

resource "terraform_data" "this" {
  input = var.name
}
"""
BACKENDS = {
    "empty": 'backend "s3" {}',
    "cloud": 'cloud {\n    organization = "orders"\n    workspaces {\n      name = "production"\n    }\n  }',
    "remote": 'backend "remote" {\n    organization = "orders"\n    workspaces {\n      prefix = "orders-"\n    }\n  }',
}


def terraform(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform without the harness, as the team does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    command = [default_binary(), *arguments, "-no-color"]
    return subprocess.run(
        command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False, timeout=120
    )


def declare(folder: Path, backend: str, more: str = RESOURCE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.tf").write_text(f"terraform {{\n  {backend}\n}}\n{more}")
    return folder


def copy_of(project: Path, into: Path) -> Root:
    return Root(copy_project(project, into))


def run_everything(root: Root) -> None:
    root.apply(name="test")
    root.assert_idempotent()
    root.destroy()


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A team's applied root, whose state is a file outside its folder."""
    folder = declare(tmp_path / "real", f'backend "local" {{\n    path = "{tmp_path}/production.tfstate"\n  }}')
    for arguments in (["init"], ["apply", "-auto-approve"]):
        done = terraform(folder, *arguments, "-input=false")
        assert done.returncode == 0, done.stderr
    return folder


def unchanged(real: Path) -> bool:
    """Whether the team's resources still exist, and their plan is empty."""
    state = json.loads((real.parent / "production.tfstate").read_text())
    planned = terraform(real, "plan", "-detailed-exitcode", "-input=false").returncode
    return state["serial"] == 1 and len(state["resources"]) == 1 and planned == 0


def test_local_backend_outside_the_copy_is_untouched(real: Path, tmp_path: Path) -> None:
    run_everything(copy_of(real, tmp_path / "copy"))

    assert unchanged(real)


def test_s3_backend_with_applied_state_is_untouched(tmp_path: Path, emulator: Emulator) -> None:
    state = emulator.environment()
    options = "use_path_style = true\n    skip_credentials_validation = true\n    skip_requesting_account_id = true"
    backend = f'backend "s3" {{\n    bucket = "state"\n    key = "production"\n    {options}\n  }}'
    real = declare(tmp_path / "real", backend)
    emulator.client("s3").create_bucket(
        Bucket="state", CreateBucketConfiguration={"LocationConstraint": state["AWS_REGION"]}
    )
    for arguments in (["init"], ["apply", "-auto-approve"]):
        done = terraform(real, *arguments, "-input=false", **state)
        assert done.returncode == 0, done.stderr
    before = emulator.client("s3").get_object(Bucket="state", Key="production")["Body"].read()

    root = copy_of(real, tmp_path / "copy")
    root.terraform.environment |= state
    run_everything(root)

    assert emulator.client("s3").get_object(Bucket="state", Key="production")["Body"].read() == before
    assert len(json.loads(before)["resources"]) == 1
    assert terraform(real, "plan", "-detailed-exitcode", "-input=false", **state).returncode == 0


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_unreachable_backend_is_replaced(backend: str, tmp_path: Path) -> None:
    root = copy_of(declare(tmp_path / "real", backend), tmp_path / "copy")

    root.apply(name="test")

    assert json.loads((root.path / "terraform.tfstate").read_text())["resources"]
    run_everything(root)


def test_backend_in_json_or_in_an_override_file_is_replaced(tmp_path: Path) -> None:
    real = declare(tmp_path / "real", 'backend "s3" {}')
    (real / "backend.tf.json").write_text('{"output": {"x": {"value": 1}}}')
    (real / "zz_override.tf.json").write_text('{"terraform": {"backend": {"s3": {"bucket": "production"}}}}')

    run_everything(copy_of(real, tmp_path / "copy"))


def test_backend_of_a_nested_module_is_ignored(tmp_path: Path) -> None:
    real = declare(tmp_path / "real", "", RESOURCE + 'module "nested" {\n  source = "./nested"\n}\n')
    declare(real / "nested", 'backend "s3" {}')

    run_everything(copy_of(real, tmp_path / "copy"))


@pytest.mark.parametrize(
    "shell",
    [
        {"TF_WORKSPACE": "production"},
        {"TF_DATA_DIR": "{real}/.terraform"},
        {"TF_CLI_ARGS": "-state={state}"},
        {"TF_CLI_ARGS_init": "-backend-config=path={state}"},
        {"TF_CLI_ARGS_plan": "-state={state}", "TF_CLI_ARGS_apply": "-state={state}"},
        {"TF_CLI_ARGS_destroy": "-state={state}"},
        {"TF_VAR_name": "from the shell"},
    ],
    ids=lambda shell: next(iter(shell)),
)
def test_shell_variables_for_another_root_have_no_effect(
    shell: Mapping[str, str], real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.items():
        monkeypatch.setenv(name, value.format(real=real, state=tmp_path / "production.tfstate"))
    root = copy_of(real, tmp_path / "copy")

    assert root.plan().values["terraform_data.this"]["input"] == "real"
    root.apply()
    assert (root.path / "terraform.tfstate").exists()
    root.destroy()

    assert unchanged(real)


@pytest.mark.parametrize("name", ["TF_WORKSPACE", "TF_CLI_ARGS_apply", "TF_CLOUD_ORGANIZATION"])
def test_environment_that_selects_another_state_is_refused_before_init(name: str, real: Path, tmp_path: Path) -> None:
    root = Root(copy_project(real, tmp_path / "copy"), environment={name: "production"})

    with pytest.raises(IsolationError, match=f"the test's environment sets {name}: remove it"):
        root.init()
    assert_nothing_ran(root)


def assert_nothing_ran(root: Root) -> None:
    assert not (root.path / ".terraform").exists()
    assert not (root.path / OVERRIDE).exists()


def test_initialised_folder_is_refused_before_init(real: Path) -> None:
    root = Root(real)

    with pytest.raises(
        IsolationError, match=r"it contains \.terraform/terraform\.tfstate, which no test created: test a copy"
    ):
        root.plan()
    assert unchanged(real)
    assert not (real / OVERRIDE).exists()


@pytest.mark.parametrize("trace", ["terraform.tfstate", "terraform.tfstate.d", ".terraform.tfstate.lock.info"])
def test_folder_with_local_state_is_refused(trace: str, tmp_path: Path) -> None:
    real = declare(tmp_path / "real", "")
    (real / trace).write_text("{}")

    with pytest.raises(IsolationError, match="which no test created"):
        Root(real).apply()
    assert (real / trace).read_text() == "{}"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("~later_override.tf", LOCAL_STATE, r"reads ~later_override\.tf after ~harness_override\.tf"),
        ("~harness_override.tofu", LOCAL_STATE, r"reads ~harness_override\.tofu after ~harness_override\.tf"),
        ("state.tf", 'terraform {\n  state_store "aws_s3" {}\n}', r"state\.tf declares a state_store"),
    ],
)
def test_file_that_overrides_local_state_is_refused_before_init(
    name: str, text: str, reason: str, tmp_path: Path
) -> None:
    root = Root(declare(tmp_path / "real", 'backend "s3" {}'))
    root.write(name, text)

    with pytest.raises(IsolationError, match=reason):
        root.init()
    assert_nothing_ran(root)


def test_init_that_configures_another_backend_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.isolation.LOCAL_STATE", "")

    with pytest.raises(IsolationError, match="configured the backend None instead of local state"):
        Root(declare(tmp_path / "root", "")).plan()


def test_root_behind_a_symlink_out_of_the_copy_is_refused(tmp_path: Path) -> None:
    real = declare(tmp_path / "real/root", 'backend "s3" {}')
    project = tmp_path / "project"
    (project / "infra").mkdir(parents=True)
    (project / "infra/link").symlink_to(real)
    (project / "infra/above").symlink_to(real.parent)
    copy = copy_project(project, tmp_path / "copy")

    for path in ("infra/link", "infra/above/root"):
        with pytest.raises(IsolationError, match=f"{path} is a symlink to .*/real/root, which is not in the copy"):
            copied_root(copy, path)
    with pytest.raises(IsolationError, match=r"it is a symlink to .*/real/root, which is not a copy"):
        Root(copy / "infra/link").plan()
    assert sorted(path.name for path in real.iterdir()) == ["main.tf"]


def test_write_does_not_follow_a_symlink(real: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "root").mkdir(parents=True)
    (project / "root" / "main.tf").symlink_to(real / "main.tf")
    (project / "root" / "app").symlink_to(real)
    before = (real / "main.tf").read_text()
    root = Root(copy_project(project, tmp_path / "copy") / "root")

    root.write("main.tf", RESOURCE)
    with pytest.raises(IsolationError, match=r"app/main\.tf is behind a symlink"):
        root.write("app/main.tf", RESOURCE)

    assert (real / "main.tf").read_text() == before
    assert (root.path / "main.tf").read_text() == RESOURCE


def test_imports_are_applied_only_with_imports_allowed(tmp_path: Path) -> None:
    block = 'import {\n  to = terraform_data.this\n  id = "real"\n}\n'
    root = Root(declare(tmp_path / "root", "", 'resource "terraform_data" "this" {}\n' + block))

    with pytest.raises(PlanError, match=r"it would import terraform_data\.this, which destroy would then delete"):
        root.apply()
    assert not (root.path / "terraform.tfstate").exists()

    root.imports_allowed = True
    root.apply()
    root.destroy()


def test_kept_root_is_isolated_too(real: Path, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept", ".")
    for _ in range(2):
        root = kept.refresh(real, Root)
        root.apply(name="test")
        kept.save(root)
    root = kept.load(Root)
    root.destroy()

    assert unchanged(real)


def test_lock_file_is_honoured_and_unchanged(tmp_path: Path, terraform_environment: Mapping[str, str]) -> None:
    real = declare(tmp_path / "real", "", 'data "aws_partition" "this" {}\n')
    shutil.copy(ROOT / "versions.tf", real)
    root = Root(copy_project(real, tmp_path / "copy"), environment=terraform_environment)
    root.init()
    lock = (root.path / ".terraform.lock.hcl").read_text()
    (real / ".terraform.lock.hcl").write_text(lock)

    again = Root(copy_project(real, tmp_path / "again"), environment=terraform_environment)
    again.init()
    assert (again.path / ".terraform.lock.hcl").read_text() == lock

    (real / ".terraform.lock.hcl").write_text(lock.replace("5.100.0", "5.100.99"))
    other = Root(copy_project(real, tmp_path / "other"), environment=terraform_environment, retry=Retry(attempts=1))
    with pytest.raises(TerraformError, match=r"\.terraform\.lock\.hcl pins the providers.*5\.100\.99"):
        other.init()


def test_shared_init_drops_checksums_except_for_a_root_with_a_lock_file(
    tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    real = declare(tmp_path / "real", "", 'data "aws_partition" "this" {}\n')
    shutil.copy(ROOT / "versions.tf", real)
    cache = InitCache(tmp_path / "cache")

    def lock(name: str) -> str:
        root = Root(copy_project(real, tmp_path / name), environment=terraform_environment)
        root.init(cache)
        return (root.path / ".terraform.lock.hcl").read_text()

    assert [lock(name).count("h1:") for name in ("first", "second")] == [0, 0]
    assert "hashicorp/aws" in lock("third")

    alone = Root(copy_project(real, tmp_path / "alone"), environment=dict(terraform_environment))
    alone.init()
    shutil.copy(alone.path / ".terraform.lock.hcl", real)
    assert lock("pinned").count("h1:") == 2


def test_root_without_a_lock_file_may_add_a_provider(tmp_path: Path, terraform_environment: Mapping[str, str]) -> None:
    root = Root(declare(tmp_path / "root", "", 'data "aws_partition" "this" {}\n'), environment=terraform_environment)
    root.init()

    shutil.copy(ROOT / "versions.tf", root.path)
    root.init()

    assert "kreuzwerker/docker" in (root.path / ".terraform.lock.hcl").read_text()


def test_shell_variables_do_not_reach_terraform_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CLI_ARGS", "-no-such-flag")

    assert Terraform(tmp_path).version().code == 0
