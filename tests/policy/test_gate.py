"""The gate reports findings, accepts only those in the register, and never passes without a scan."""

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


def write_register(project: Path) -> tuple[str, str]:
    """Write a register with ENTRY, and return the options that name it."""
    (project / "skips.yaml").write_text(yaml.safe_dump([ENTRY]))
    return "--register", str(project / "skips.yaml")


def test_project_with_only_accepted_findings_passes(gate: Gate, project: Path) -> None:
    (project / "registry/main.tf").write_text(SKIPPED)
    (project / "clean").mkdir()
    (project / "clean/main.tf").write_text(GOOD)
    code, output, _ = gate(project, *write_register(project))
    assert code == 0, output
    heading, row, secrets = output.splitlines()
    assert heading.split() == ["scan", "resources", "passed", "accepted", "failed"]
    name, resources, passed, accepted, failed = row.split()
    assert (name, resources, accepted, failed) == ("terraform", "2", "1", "0")
    assert int(passed) > 0
    assert secrets.startswith("secrets")


@pytest.mark.parametrize(("ref", "code"), [("v0.2.0", 0), ("0" * 40, 0), ("main", 1)])
def test_release_or_commit_is_a_pinned_source(ref: str, code: int, gate: Gate, project: Path) -> None:
    source = f"git::https://example.com/api.git//modules/orders?ref={ref}"
    (project / "registry/main.tf").write_text(f'{GOOD}module "orders" {{\n  source = "{source}"\n}}\n')
    returned, output, _ = gate(project)
    assert returned == code, output
    assert ("CKV_LCA_14" in output) == bool(code)


def test_entry_for_deployed_resources_may_be_unused(gate: Gate, project: Path) -> None:
    (project / "registry/main.tf").write_text(SKIPPED.replace("scan_on_push = false", "scan_on_push = true"))
    (project / "skips.yaml").write_text(yaml.safe_dump([ENTRY | {"deployed": True}]))
    code, output, _ = gate(project, "--register", str(project / "skips.yaml"))
    assert code == 0, output


@dataclass(frozen=True)
class Scanned:
    """The gate's output, and the folder of its reports."""

    code: int
    output: str
    reports: Path


@pytest.fixture(scope="module")
def scanned(gate: Gate, fixtures: Path, plan_file: str, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan of a root with its plan, and of a folder with two findings, the first of which is accepted."""
    project = tmp_path_factory.mktemp("scanned")
    shutil.copytree(fixtures, project / "planned")
    (project / "registry").mkdir()
    more = BAD.replace('"this"', '"more"').replace('"orders"', '"more"')
    (project / "registry/main.tf").write_text(SKIPPED + more)
    reports = project / "reports"
    options = [*write_register(project), "--plan", f"planned={plan_file}", "--reports", str(reports)]
    code, output, error = gate(project, *options, "--only", "registry", "planned")
    assert output, error
    return Scanned(code, output, reports)


def test_finding_fails_with_its_file_line_and_check(scanned: Scanned) -> None:
    assert scanned.code == 1
    assert "registry/main.tf:14: CKV_AWS_163 " in scanned.output
    assert "register:" not in scanned.output


def test_plan_is_scanned_with_its_sources(scanned: Scanned) -> None:
    row = next(line for line in scanned.output.splitlines() if line.startswith("plan of planned"))
    assert int(row.split()[-3]) > 50
    assert "planned/ckv_lca_1.tf:" in scanned.output
    assert (scanned.reports / "plans.sarif").exists()


def test_reports_contain_failed_and_accepted_findings(scanned: Scanned) -> None:
    cases = ET.parse(scanned.reports / "junit.xml").getroot().iter("testcase")  # noqa: S314 - a trusted file
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


FIXED = SKIPPED.replace("scan_on_push = false", "scan_on_push = true")
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "unregistered": (SKIPPED, {"check": "CKV_AWS_136"}, "the in-line skip of CKV_AWS_163 is not in the register"),
    "undated": (SKIPPED, {"until": "soon", "lifted_by": None}, "must be one such as 2027-01-31, not 'soon'"),
    "expired": (SKIPPED, {"until": date(2020, 1, 31), "lifted_by": None}, "expired on 2020-01-31"),
    "no-reason": (SKIPPED, {"why": None}, "has no reason"),
    "no-end": (SKIPPED, {"lifted_by": None}, "must set `until`"),
    "another-reason": (SKIPPED, {"why": "another reason, not that one"}, "no in-line skip with the same reason"),
    "not-a-bool": (SKIPPED, {"deployed": "yes"}, "must set `deployed` to true or false, not 'yes'"),
    "unknown-key": (SKIPPED, {"lifted": "never"}, "no unknown keys (lifted)"),
    "only-registered": (BAD, {}, "no in-line skip with the same reason"),
    "stale": (FIXED, {}, "no longer matches a finding"),
    "other-resource": (SKIPPED, {"resource": "aws_ecr_repository.other"}, "no longer matches a finding"),
}


@pytest.fixture(scope="module")
def output(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The gate's output for every kind of invalid entry, each in its own folder."""
    project = tmp_path_factory.mktemp("wrong")
    register = []
    for name, (hcl, entry, _) in WRONG.items():
        (project / name).mkdir()
        (project / name / "main.tf").write_text(hcl)
        merged = {**ENTRY, "where": f"{name}/main.tf", **entry}
        register.append({key: value for key, value in merged.items() if value is not None})
    (project / "skips.yaml").write_text(yaml.safe_dump(register))
    code, printed, _ = gate(project, "--register", str(project / "skips.yaml"))
    assert code == 1
    return printed


@pytest.mark.parametrize("name", WRONG)
def test_invalid_register_entry_is_reported(name: str, output: str) -> None:
    number = list(WRONG).index(name) + 1
    lines = [line for line in output.splitlines() if f"entry {number}: " in line or f"register: {name}/" in line]
    assert any(WRONG[name][2] in line for line in lines), lines


@pytest.mark.parametrize(
    ("hcl", "reason"),
    [
        pytest.param("resource {{{\n", "cannot parse registry/main.tf", id="hcl that cannot be parsed"),
        pytest.param("# nothing\n", "terraform: checkov found nothing to check", id="hcl without a resource"),
    ],
)
def test_unparsable_or_empty_sources_exit_with_2(hcl: str, reason: str, gate: Gate, project: Path) -> None:
    (project / "registry/main.tf").write_text(hcl)
    code, _, error = gate(project)
    assert code == 2
    assert reason in error


def test_empty_folder_exits_with_2(gate: Gate, tmp_path: Path) -> None:
    code, _, error = gate(tmp_path)
    assert code == 2
    assert f"{tmp_path} has no .tf file" in error


def test_missing_folder_exits_with_2(gate: Gate, project: Path) -> None:
    code, _, error = gate(project, "--only", "registry", "modules")
    assert code == 2
    assert "has no modules" in error


def test_missing_plan_exits_with_2(gate: Gate, project: Path) -> None:
    code, _, error = gate(project, "--plan", "registry=nowhere.json")
    assert code == 2
    assert "nowhere.json: no such plan file" in error


def test_invalid_plan_exits_with_2(gate: Gate, project: Path) -> None:
    (project / "plan.json").write_text("{}")
    code, _, error = gate(project, "--plan", f"registry={project / 'plan.json'}")
    assert code == 2
    assert "plan.json" in error


def test_plan_of_other_sources_exits_with_2(gate: Gate, project: Path, plan_file: str) -> None:
    code, _, error = gate(project, "--plan", f"registry={plan_file}")
    assert code == 2
    assert "is not a plan of registry" in error


def test_unreadable_register_exits_with_2(gate: Gate, project: Path) -> None:
    (project / "skips.yaml").write_text("- {check: [")
    code, _, error = gate(project, "--register", str(project / "skips.yaml"))
    assert code == 2
    assert "skips.yaml cannot be read" in error


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        pytest.param(
            "    setting = text(", '    raise RuntimeError("crash")\n    setting = text(', "main.tf", id="at run time"
        ),
        pytest.param("MIN_IMAGES = 10", "MIN_IMAGES = ten", "lca_repository", id="at import"),
    ],
)
def test_crashing_check_exits_with_2(old: str, new: str, file: str, gate: Gate, project: Path) -> None:
    pack = shutil.copytree(PACK, project / "pack")
    source = (pack / "lca_repository.py").read_text()
    assert old in source
    (pack / "lca_repository.py").write_text(source.replace(old, new, 1))
    code, _, error = gate(project, "--only", "registry", "--pack", str(pack))
    assert code == 2
    assert "crash" in error
    assert file in error
