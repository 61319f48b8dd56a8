"""checkov, as the tests of the pack run it: the pinned one, in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import Root
from sandbox.overrides import AWS_PROVIDER
from tools.policy_scan import CHECKOV, GATE, PROJECT, PYTHON

PACK = PROJECT / "policies"
FIXTURES = Path(__file__).with_name("fixtures")


Checkov = Callable[..., dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def checkov() -> Checkov:
    """`checkov(*options)`: the checks of the pack that passed and failed, as checkov's JSON report has them."""
    if not CHECKOV.exists():
        pytest.fail("`make .venvs/policy/.ready` installs checkov", pytrace=False)

    def run(*options: str, pack: Path = PACK) -> dict[str, list[dict[str, Any]]]:
        command = [str(CHECKOV), *options, "--external-checks-dir", str(pack), "--skip-download", "--output", "json"]
        environment = os.environ | {"LOG_LEVEL": "ERROR"}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        report = json.loads(result.stdout)
        if "results" not in report:  # nothing was checked
            return {"passed": [], "failed": []}
        assert report["results"]["parsing_errors"] == []
        return {
            verdict: [c for c in report["results"][f"{verdict}_checks"] if c["check_id"].startswith("CKV_LCA_")]
            for verdict in ("passed", "failed")
        }

    return run


Gate = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def gate() -> Gate:
    """`gate(folder, *options)`: the gate's exit code, and what it printed and complained of."""
    if not CHECKOV.exists():
        pytest.fail("`make .venvs/policy/.ready` installs checkov", pytrace=False)

    def run(folder: Path, *options: str) -> tuple[int, str, str]:
        command = [str(PYTHON), str(GATE), str(folder), *options]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout, result.stderr

    return run


@pytest.fixture(scope="session")
def plan_file(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
    once_per_run: Callable[[str, Callable[[], Any]], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    def plan() -> Any:
        return terraform_roots("tests/policy/fixtures", {"provider.tf": AWS_PROVIDER}).plan().raw

    file = tmp_path_factory.mktemp("plan") / "plan.json"
    file.write_text(json.dumps(once_per_run("policy-fixtures-plan", plan)))
    return str(file)


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of the fixtures, a root of its own."""
    return FIXTURES
