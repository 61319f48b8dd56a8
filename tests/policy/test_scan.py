"""The scan finds what is wrong, and never passes without having looked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.policy.scan import CHECKOV, main

pytestmark = pytest.mark.skipif(not CHECKOV.exists(), reason="`make .venvs/policy/.ready` installs checkov")

GOOD = """
resource "aws_ecr_repository" "this" {
  name                 = "orders"
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
  }
}
"""
BAD = GOOD.replace("scan_on_push = true", "scan_on_push = false")


def project(folder: Path, hcl: str) -> str:
    (folder / "modules/registry").mkdir(parents=True)
    (folder / "modules/registry/main.tf").write_text(hcl)
    return str(folder)


def test_a_clean_project_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project(tmp_path, GOOD)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["scan", "resources", "passed", "failed", "skipped"]
    name, resources, passed, failed, skipped = row.split()
    assert (name, resources, failed, skipped) == ("terraform", "1", "0", "0")
    assert int(passed) > 0


def test_a_finding_fails_with_its_place_and_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project(tmp_path, BAD)]) == 1
    assert "modules/registry/main.tf:2: CKV_AWS_163 " in capsys.readouterr().out


def test_a_finding_skipped_with_a_reason_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skipped = BAD.replace("{", "{\n  #checkov:skip=CKV_AWS_163:scanned by the registry's own schedule", 1)
    assert main([project(tmp_path, skipped)]) == 0
    assert capsys.readouterr().out.split()[-1] == "1"


def test_a_finding_skipped_without_a_reason_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project(tmp_path, BAD.replace("{", "{\n  #checkov:skip=CKV_AWS_163", 1))]) == 1
    assert "CKV_AWS_163 is skipped without a reason" in capsys.readouterr().out


def test_a_dockerfile_is_scanned_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13\nUSER root\n")
    assert main([project(tmp_path, GOOD)]) == 1
    assert "Dockerfile:2: CKV_DOCKER_8 " in capsys.readouterr().out


def test_a_workflow_is_scanned_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").write_text(
        "name: ci\non: push\npermissions: write-all\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make\n"
    )
    assert main([project(tmp_path, GOOD)]) == 1
    assert ".github/workflows/ci.yml:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("hcl", "reason"),
    [
        pytest.param("resource {{{\n", "cannot parse modules/registry/main.tf", id="hcl that cannot be parsed"),
        pytest.param("# nothing\n", "reports nothing about terraform", id="hcl without a resource"),
    ],
)
def test_could_not_scan(hcl: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project(tmp_path, hcl)]) == 2
    assert reason in capsys.readouterr().err


def test_an_empty_folder_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "nothing to scan" in capsys.readouterr().err


def test_a_folder_without_hcl_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "modules").mkdir()
    assert main([str(tmp_path)]) == 2
    assert "no .tf file" in capsys.readouterr().err


def test_a_root_that_cannot_be_planned_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project(tmp_path, GOOD), "--plan", "modules/elsewhere"]) == 2
    assert "modules/elsewhere cannot be planned" in capsys.readouterr().err
