"""The checks of policies/ against fixtures that say in their names what must be found, in HCL and in a plan alike."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.policy.conftest import FIXTURES, PACK, Checkov
from tools.policy_scan import PROJECT

NAMED = re.compile(r'^(?:resource "[^"]+"|module) "((pass|fail|unknown)_[^"]+)"', re.MULTILINE)
REGISTERED = re.compile(r'^    "(CKV_LCA_\d+)",$', re.MULTILINE)
Verdicts = dict[str, dict[str, str]]


def checks() -> dict[str, Path]:
    """Return the pack's checks: id and file."""
    found = {identity: path for path in PACK.glob("*.py") for identity in REGISTERED.findall(path.read_text())}
    return found | {yaml.safe_load(path.read_text())["metadata"]["id"]: path for path in PACK.glob("*.yaml")}


def stated(pattern: str) -> Verdicts:
    """Return by check what its fixtures' names state."""
    return {path.stem.upper(): dict(NAMED.findall(path.read_text())) for path in FIXTURES.glob(pattern)}


def found(checkov: Checkov, *options: str, pack: Path = PACK) -> Verdicts:
    """Return by check what it said of the fixtures that are its own; what it did not judge is not there."""
    expected = stated("**/*.tf")
    results: Verdicts = {check: {} for check in expected}
    for verdict, records in checkov(*options, pack=pack).items():
        for record in records:
            name = record["resource"].rpartition(".")[2]
            if name in expected.get(record["check_id"], {}):
                results[record["check_id"]][name] = verdict.removesuffix("ed")
    return results


def judged(verdicts: Verdicts) -> Verdicts:
    """Return stated verdicts without the unknown, of which checkov says nothing."""
    return {
        check: {name: verdict for name, verdict in names.items() if verdict != "unknown"}
        for check, names in verdicts.items()
    }


def test_every_check_has_fixtures_that_pass_and_that_fail() -> None:
    assert checks().keys() == stated("**/ckv_*.tf").keys()
    for check, names in stated("**/ckv_*.tf").items():
        assert {"pass", "fail"} <= set(names.values()), check


def test_hcl_gets_the_verdicts_that_it_states(checkov: Checkov) -> None:
    assert found(checkov, "-d", str(FIXTURES), "--framework", "terraform") == judged(stated("**/*.tf"))


def test_a_plan_gets_the_verdicts_that_it_states(checkov: Checkov, plan_file: str) -> None:
    verdicts = found(checkov, "-f", plan_file, "--framework", "terraform_plan")
    assert verdicts == judged(stated("*.tf")) | {check: {} for check in stated("calls/*.tf")}


@pytest.mark.parametrize("half", [0, 1], ids=["every other check", "the others"])
def test_a_check_that_is_switched_off_is_missed(half: int, checkov: Checkov, tmp_path: Path) -> None:
    off = set(sorted(checks())[half::2])
    pack = shutil.copytree(PACK, tmp_path / "pack")
    for check in off:
        source = pack / checks()[check].name
        source.write_text(re.sub(rf"\b{check}\b", check.replace("LCA", "OFF"), source.read_text()))
    verdicts = found(checkov, "-d", str(FIXTURES), "--framework", "terraform", pack=pack)
    expected = judged(stated("**/*.tf"))
    assert {check for check in expected if verdicts[check] != expected[check]} == off


def test_every_check_has_a_severity_and_a_section_of_the_documentation() -> None:
    page = (PROJECT / "docs/policy.md").read_text()
    for check, path in checks().items():
        assert f'<a id="{check.lower()}"></a>' in page, check
        if path.suffix == ".yaml":
            metadata = yaml.safe_load(path.read_text())["metadata"]
            assert metadata["severity"] in {"LOW", "MEDIUM", "HIGH"}
            assert metadata["guideline"] == f"docs/policy.md#{check.lower()}"
