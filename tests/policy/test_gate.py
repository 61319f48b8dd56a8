"""The gate finds what is wrong, accepts only what the register justifies, and never passes without having looked."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policy.conftest import PACK, Gate

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
WHY = "scanned by the registry's own schedule"
BAD = GOOD.replace("scan_on_push = true", "scan_on_push = false")
SKIPPED = BAD.replace("{", f"{{\n  #checkov:skip=CKV_AWS_163:{WHY}", 1)
ENTRY = {
    "check": "CKV_AWS_163",
    "where": "registry/main.tf",
    "resource": "aws_ecr_repository.this",
    "why": WHY,
    "lifted_by": "the schedule's end",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry/main.tf").write_text(GOOD)
    return tmp_path


def registered(project: Path) -> tuple[str, str]:
    """Write a register with ENTRY, and return the option that names it."""
    (project / "skips.yaml").write_text(yaml.safe_dump([ENTRY]))
    return "--register", str(project / "skips.yaml")


def test_a_project_with_nothing_but_accepted_findings_passes(gate: Gate, project: Path) -> None:
    (project / "registry/main.tf").write_text(SKIPPED)
    (project / "clean").mkdir()
    (project / "clean/main.tf").write_text(GOOD)
    code, said, _ = gate(project, *registered(project))
    assert code == 0, said
    heading, row, secrets = said.splitlines()
    assert heading.split() == ["scan", "things", "passed", "accepted", "failed"]
    name, things, passed, accepted, failed = row.split()
    assert (name, things, accepted, failed) == ("terraform", "2", "1", "0")
    assert int(passed) > 0
    assert secrets.startswith("secrets")


@dataclass(frozen=True)
class Scanned:
    """What the gate said, and the folder of its reports."""

    code: int
    said: str
    reports: Path


@pytest.fixture(scope="module")
def scanned(gate: Gate, fixtures: Path, plan_file: str, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan of a root with its plan, and of a folder with two findings, of which the register accepts the first."""
    project = tmp_path_factory.mktemp("scanned")
    shutil.copytree(fixtures, project / "planned")
    (project / "registry").mkdir()
    more = BAD.replace('"this"', '"more"').replace('"orders"', '"more"')
    (project / "registry/main.tf").write_text(SKIPPED + more)
    reports = project / "reports"
    options = [*registered(project), "--plan", f"planned={plan_file}", "--reports", str(reports)]
    code, said, complaint = gate(project, *options, "--only", "registry", "planned")
    assert said, complaint
    return Scanned(code, said, reports)


def test_a_finding_fails_with_its_place_and_its_check(scanned: Scanned) -> None:
    assert scanned.code == 1
    assert "registry/main.tf:14: CKV_AWS_163 " in scanned.said
    assert "register:" not in scanned.said


def test_a_plan_is_scanned_with_its_sources(scanned: Scanned) -> None:
    row = next(line for line in scanned.said.splitlines() if line.startswith("plan of planned"))
    assert int(row.split()[-3]) > 50
    assert "planned/ckv_lca_1.tf:" in scanned.said
    assert (scanned.reports / "plans.sarif").exists()


def test_reports_say_what_failed_and_what_is_accepted(scanned: Scanned) -> None:
    cases = ET.parse(scanned.reports / "junit.xml").getroot().iter("testcase")  # noqa: S314 - our own
    marks = {
        case.attrib["classname"]: [child.tag for child in case]
        for case in cases
        if "CKV_AWS_163" in case.attrib["name"] and case.attrib["classname"].startswith("registry/")
    }
    assert marks == {
        "registry/main.tf:2 aws_ecr_repository.this": ["skipped"],
        "registry/main.tf:14 aws_ecr_repository.more": ["failure"],
    }
    (run,) = json.loads((scanned.reports / "sources.sarif").read_text())["runs"]
    suppressed = {
        place["region"]["startLine"]: result.get("suppressions", [])
        for result in run["results"]
        for place in [result["locations"][0]["physicalLocation"]]
        if result["ruleId"] == "CKV_AWS_163" and place["artifactLocation"]["uri"].endswith("registry/main.tf")
    }
    assert suppressed == {2: [{"kind": "inSource", "justification": WHY}], 14: []}


MENDED = SKIPPED.replace("scan_on_push = false", "scan_on_push = true")
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "undeclared": (SKIPPED, {"check": "CKV_AWS_136"}, "the in-line skip of CKV_AWS_163 is not in the register"),
    "undated": (SKIPPED, {"until": "soon", "lifted_by": None}, "must be a date such as 2027-01-31, and is 'soon'"),
    "expired": (SKIPPED, {"until": date(2020, 1, 31), "lifted_by": None}, "expired on 2020-01-31"),
    "reasonless": (SKIPPED, {"why": None}, "has no reason"),
    "endless": (SKIPPED, {"lifted_by": None}, "must say `until`"),
    "ambiguous": (SKIPPED, {"why": "another reason, not that one"}, "no in-line skip with the same reason"),
    "misspelt": (SKIPPED, {"lifted": "never"}, "nothing unknown (lifted)"),
    "only-registered": (BAD, {}, "no in-line skip with the same reason"),
    "stale": (MENDED, {}, "matches no finding any more"),
    "misplaced": (SKIPPED, {"resource": "aws_ecr_repository.other"}, "matches no finding any more"),
}


@pytest.fixture(scope="module")
def complaints(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the gate says of all that can be wrong with a register, each in a folder of its own."""
    project = tmp_path_factory.mktemp("wrong")
    register = []
    for name, (hcl, entry, _) in WRONG.items():
        (project / name).mkdir()
        (project / name / "main.tf").write_text(hcl)
        stated = {**ENTRY, "where": f"{name}/main.tf", **entry}
        register.append({key: value for key, value in stated.items() if value is not None})
    (project / "skips.yaml").write_text(yaml.safe_dump(register))
    code, said, _ = gate(project, "--register", str(project / "skips.yaml"))
    assert code == 1
    return said


@pytest.mark.parametrize("name", WRONG)
def test_the_register_is_held_to_the_truth(name: str, complaints: str) -> None:
    number = list(WRONG).index(name) + 1
    about = [line for line in complaints.splitlines() if f"entry {number}: " in line or f"register: {name}/" in line]
    assert any(WRONG[name][2] in line for line in about), about


@pytest.mark.parametrize(
    ("hcl", "reason"),
    [
        pytest.param("resource {{{\n", "cannot parse registry/main.tf", id="hcl that cannot be parsed"),
        pytest.param("# nothing\n", "terraform: checkov found nothing to check", id="hcl without a resource"),
    ],
)
def test_sources_that_say_nothing_are_not_clean(hcl: str, reason: str, gate: Gate, project: Path) -> None:
    (project / "registry/main.tf").write_text(hcl)
    code, _, complaint = gate(project)
    assert code == 2
    assert reason in complaint


def test_an_empty_folder_is_not_clean(gate: Gate, tmp_path: Path) -> None:
    code, _, complaint = gate(tmp_path)
    assert code == 2
    assert f"{tmp_path} has no .tf file" in complaint


def test_a_folder_that_is_not_there_is_not_clean(gate: Gate, project: Path) -> None:
    code, _, complaint = gate(project, "--only", "registry", "modules")
    assert code == 2
    assert "has no modules" in complaint


def test_a_missing_plan_is_not_clean(gate: Gate, project: Path) -> None:
    code, _, complaint = gate(project, "--plan", "registry=nowhere.json")
    assert code == 2
    assert "nowhere.json: there is no such plan" in complaint


def test_a_plan_that_is_none_is_not_clean(gate: Gate, project: Path) -> None:
    (project / "plan.json").write_text("{}")
    code, _, complaint = gate(project, "--plan", f"registry={project / 'plan.json'}")
    assert code == 2
    assert "plan.json" in complaint


def test_a_plan_of_other_sources_is_not_clean(gate: Gate, project: Path, plan_file: str) -> None:
    code, _, complaint = gate(project, "--plan", f"registry={plan_file}")
    assert code == 2
    assert "is no plan of registry" in complaint


def test_a_register_that_cannot_be_read_is_not_clean(gate: Gate, project: Path) -> None:
    (project / "skips.yaml").write_text("- {check: [")
    code, _, complaint = gate(project, "--register", str(project / "skips.yaml"))
    assert code == 2
    assert "skips.yaml cannot be read" in complaint


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        pytest.param(
            "    setting = text(", '    raise RuntimeError("crash")\n    setting = text(', "main.tf", id="while it runs"
        ),
        pytest.param("KEPT = 10", "KEPT = ten", "lca_repository", id="while it is loaded"),
    ],
)
def test_a_check_that_crashes_is_not_clean(old: str, new: str, file: str, gate: Gate, project: Path) -> None:
    pack = shutil.copytree(PACK, project / "pack")
    source = (pack / "lca_repository.py").read_text()
    assert old in source
    (pack / "lca_repository.py").write_text(source.replace(old, new, 1))
    code, _, complaint = gate(project, "--only", "registry", "--pack", str(pack))
    assert code == 2
    assert "crash" in complaint
    assert file in complaint
