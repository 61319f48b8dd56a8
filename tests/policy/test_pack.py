"""The checks of policies/ against fixtures in HCL and in a plan. A fixture's name starts with the expected verdict."""

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
    """Return the pack's checks, file by id."""
    python = {check: path for path in PACK.glob("*.py") for check in REGISTERED.findall(path.read_text())}
    return python | {yaml.safe_load(path.read_text())["metadata"]["id"]: path for path in PACK.glob("*.yaml")}


def expected_verdicts(pattern: str) -> Verdicts:
    """Return the verdicts in the fixtures' names, by check."""
    return {path.stem.upper(): dict(NAMED.findall(path.read_text())) for path in FIXTURES.glob(pattern)}


def actual_verdicts(checkov: Checkov, *options: str, pack: Path = PACK) -> Verdicts:
    """Return the verdicts of each check on its own fixtures, without unknown ones."""
    expected = expected_verdicts("**/*.tf")
    results: Verdicts = {check: {} for check in expected}
    for verdict, records in checkov(*options, pack=pack).items():
        for record in records:
            name = record["resource"].rpartition(".")[2]
            if name in expected.get(record["check_id"], {}):
                results[record["check_id"]][name] = verdict.removesuffix("ed")
    return results


def without_unknown(verdicts: Verdicts) -> Verdicts:
    """Remove unknown verdicts, which checkov does not report."""
    return {
        check: {name: verdict for name, verdict in names.items() if verdict != "unknown"}
        for check, names in verdicts.items()
    }


def test_every_check_has_passing_and_failing_fixtures() -> None:
    assert checks().keys() == expected_verdicts("**/ckv_*.tf").keys()
    for check, names in expected_verdicts("**/ckv_*.tf").items():
        assert {"pass", "fail"} <= set(names.values()), check


def test_hcl_gets_the_expected_verdicts(checkov: Checkov) -> None:
    assert actual_verdicts(checkov, "-d", str(FIXTURES), "--framework", "terraform") == without_unknown(
        expected_verdicts("**/*.tf")
    )


def test_plan_gets_the_expected_verdicts(checkov: Checkov, plan_file: str) -> None:
    verdicts = actual_verdicts(checkov, "-f", plan_file, "--framework", "terraform_plan")
    assert verdicts == without_unknown(expected_verdicts("*.tf")) | {
        check: {} for check in expected_verdicts("calls/**/*.tf")
    }


@pytest.mark.parametrize("half", [0, 1], ids=["even", "odd"])
def test_disabled_check_changes_the_verdicts(half: int, checkov: Checkov, tmp_path: Path) -> None:
    disabled = set(sorted(checks())[half::2])
    pack = shutil.copytree(PACK, tmp_path / "pack")
    for check in disabled:
        source = pack / checks()[check].name
        source.write_text(re.sub(rf"\b{check}\b", check.replace("LCA", "OFF"), source.read_text()))
    verdicts = actual_verdicts(checkov, "-d", str(FIXTURES), "--framework", "terraform", pack=pack)
    expected = without_unknown(expected_verdicts("**/*.tf"))
    assert {check for check in expected if verdicts[check] != expected[check]} == disabled


def test_every_check_has_a_severity_and_is_documented() -> None:
    page = (PROJECT / "docs/policy.md").read_text()
    for check, path in checks().items():
        assert f'<a id="{check.lower()}"></a>' in page, check
        if path.suffix == ".yaml":
            metadata = yaml.safe_load(path.read_text())["metadata"]
            assert metadata["severity"] in {"LOW", "MEDIUM", "HIGH"}
            assert metadata["guideline"] == f"docs/policy.md#{check.lower()}"
