"""A saved plan between two jobs: its comment, its encryption, and refusals. Terraform is real, without providers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from delivery import job_variables, plan_comment, saved_plan
from delivery.plan_comment import MAX_PLAN, render

ROOT = """
variable "text" {
  default = "one"
}

variable "secret" {
  default   = ""
  sensitive = true
}

resource "terraform_data" "this" {
  input = "${var.text} ${var.secret}"
}

resource "terraform_data" "plain" {
  triggers_replace = var.text
}

output "text" {
  value = var.text
}

output "list" {
  value = [var.text]
}
"""


@pytest.fixture
def root(tmp_path: Path, terraform_binary: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TERRAFORM", terraform_binary)
    monkeypatch.setenv("PLAN_PASSPHRASE", "only for these tests, not a secret")
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "main.tf").write_text(ROOT)
    run(terraform_binary, folder, "init")
    return folder


def run(terraform: str, root: Path, *arguments: str) -> None:
    subprocess.run([terraform, *arguments], cwd=root, check=True, capture_output=True)


def plan(terraform: str, root: Path, *variables: str) -> Path:
    file = root / "saved.tfplan"
    run(terraform, root, "plan", "-input=false", f"-out={file}", *(f"-var={variable}" for variable in variables))
    return file


def test_plan_is_applied_once_and_then_stale(
    root: Path, terraform_binary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plan(terraform_binary, root)
    for command in (["encrypt", str(file)], ["decrypt", f"{file}.gpg"], ["apply", "--root", str(root), str(file)]):
        assert saved_plan.main(command) == 0
    assert "Apply complete! Resources: 2 added" in capsys.readouterr().out
    assert saved_plan.main(["apply", "--root", str(root), str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the plan is stale: another apply changed the state")
    assert error.count("\n") == 1


def test_encrypted_plan_replaces_the_clear_one(root: Path, terraform_binary: str) -> None:
    file = plan(terraform_binary, root, "text=findable")
    clear = file.read_bytes()
    encrypted = saved_plan.encrypt(file)
    assert not file.exists()
    assert clear[:2] == b"PK"
    assert b"PK\3\4" not in encrypted.read_bytes()
    assert saved_plan.decrypt(encrypted).read_bytes() == clear


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [
        ("short", "PLAN_PASSPHRASE must have at least 20 characters"),
        (
            "another passphrase, of more than 20",
            "gpg failed, with a different PLAN_PASSPHRASE or a file that was altered",
        ),
    ],
)
def test_passphrase_that_is_short_or_wrong_is_refused(
    passphrase: str, message: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "saved.tfplan").write_text("a plan")
    encrypted = saved_plan.encrypt(root / "saved.tfplan")
    monkeypatch.setenv("PLAN_PASSPHRASE", passphrase)
    assert saved_plan.main(["decrypt", str(encrypted)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (root / "saved.tfplan").exists()


def test_missing_plan_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["encrypt", "none"], ["decrypt", "none.gpg"], ["apply", "--root", str(root), "none"]):
        assert saved_plan.main(command) == 1
        assert capsys.readouterr().err.startswith("error: there is no plan none")


def test_comment_counts_changes_and_hides_secrets(
    root: Path, terraform_binary: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_VAR_text", "undeclared-secret")
    monkeypatch.setenv("DELIVERY_MASKED", "TF_VAR_text")
    arguments = [
        "--root",
        str(root),
        "--plan",
        str(plan(terraform_binary, root, "secret=declared-secret")),
        "--title",
        "dev",
    ]
    assert plan_comment.main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("### dev: 2 to create, 2 outputs to change\n")
    assert "\n+   text = " in text
    assert "undeclared-secret" not in text
    assert "declared-secret" not in text
    assert "(sensitive value)" in text


def test_comment_warns_of_a_replacement(root: Path, terraform_binary: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(terraform_binary, root, "apply", "-auto-approve")
    assert plan_comment.main(["--root", str(root), "--plan", str(plan(terraform_binary, root, "text=two"))]) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        "### Terraform plan: 1 to change, 1 to replace, 2 outputs to change\n\n**1 resource is destroyed or"
    )
    run(terraform_binary, root, "apply", "-auto-approve", "-var=text=two")
    assert plan_comment.main(["--root", str(root), "--plan", str(plan(terraform_binary, root, "text=two"))]) == 0
    assert capsys.readouterr().out.startswith("### Terraform plan: no changes\n")


def test_long_plan_is_cut_and_backticks_stay_in_the_fence() -> None:
    text = render({}, "````\n" + "line\n" * MAX_PLAN, "dev", [])
    assert "\n`````diff\n" in text
    assert text.endswith("\n`````\n\n</details>\n")
    assert "The rest is left out (" in text
    assert len(text) < 65_536


def test_unreadable_plan_is_one_sentence(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_comment.main(["--root", str(root), "--plan", str(root / "main.tf")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: the plan {root / 'main.tf'} cannot be shown: ")
    assert error.count("\n") == 1


def test_variables_are_given_kept_and_masked(
    root: Path,
    terraform_binary: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(terraform_binary, root, "apply", "-auto-approve", "-var=text=kept")
    file = tmp_path / "github_env"
    monkeypatch.setenv("GITHUB_ENV", str(file))
    monkeypatch.setenv("VARIABLES", "# a comment\n\nimage_uri = a=b\n")
    monkeypatch.setenv("SECRET_VARIABLES", "password=hidden")
    assert job_variables.main(["--root", str(root), "--keep", "text image_uri none"]) == 0
    lines = file.read_text().splitlines()
    assert lines == [
        "TF_VAR_text=kept",
        "TF_VAR_image_uri=a=b",
        "TF_VAR_password=hidden",
        "DELIVERY_MASKED=TF_VAR_password",
    ]
    assert capsys.readouterr().out == "::add-mask::hidden\nvariables: image_uri, password, text\n"


def test_source_hash_is_the_tree_of_the_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    (tmp_path / "team/app").mkdir(parents=True)
    (tmp_path / "team/app/main.py").write_text("")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD:team/app"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    monkeypatch.chdir(tmp_path / "team")
    assert job_variables.source_hash("app") == tree.stdout.strip()


@pytest.mark.parametrize(
    ("variables", "keep", "message"),
    [
        ("a=b\nno value", "", "line 2 of the variables is not name=value"),
        ("", "list", "the output list is not a string of one line"),
    ],
)
def test_invalid_variables_are_refused(
    variables: str,
    keep: str,
    message: str,
    root: Path,
    terraform_binary: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(terraform_binary, root, "apply", "-auto-approve")
    monkeypatch.setenv("VARIABLES", variables)
    assert job_variables.main(["--root", str(root), "--keep", keep]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
