"""What this project ships has no finding that nobody has accepted: `make policy`, on plans that other tests read as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness import Plan
from sandbox import paths
from tools.policy_scan import REPORTS, scan


def test_sources_and_the_plan_of_every_example_are_clean(example_plan: Callable[[str], Plan], tmp_path: Path) -> None:
    planned = {}
    for example in paths.examples():
        file = tmp_path / f"{example}.json"
        file.write_text(json.dumps(example_plan(example).raw), encoding="utf-8")
        planned[f"examples/{example}"] = file

    result = scan(planned)

    assert result.returncode == 0, f"{result.stdout}{result.stderr}"
    assert all(f"plan of {root}" in result.stdout for root in planned)
    assert (REPORTS / "junit.xml").exists()
