"""The gate finds each of the mistakes in mistakes.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policy.conftest import Gate

MISTAKES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text())
FILES = {"hcl": "main.tf", "Dockerfile": "Dockerfile"}
# Assembled here, so that no secret scanner reports this file.
KEY = "AKIA" + "Z3XQ7RT5WJ2MNP4K"


def folder(number: int) -> str:
    return f"mistake-{number:02}"


@pytest.fixture(scope="session")
def printed(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The gate's output of one scan of all mistakes."""
    project = tmp_path_factory.mktemp("mistakes")
    for number, mistake in enumerate(MISTAKES):
        target = project / folder(number)
        for kind, file in FILES.items():
            if kind in mistake:
                target.mkdir()
                (target / file).write_text(mistake[kind].replace("{key}", KEY))
        if "workflow" in mistake:
            (project / ".github/workflows").mkdir(parents=True)
            (project / f".github/workflows/{folder(number)}.yml").write_text(mistake["workflow"])
    code, output, _ = gate(project)
    assert code == 1
    return output


@pytest.fixture(scope="session")
def found(printed: str) -> set[tuple[str, str]]:
    """Check and folder of each finding."""
    lines = re.findall(r"^\S*?(mistake-\d\d)\S*: (CKV\S+) ", printed, re.MULTILINE)
    return {(check, directory) for directory, check in lines}


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[mistake["mistake"] for mistake in MISTAKES])
def test_mistake_is_found(number: int, found: set[tuple[str, str]]) -> None:
    assert (MISTAKES[number]["finds"], folder(number)) in found


def test_each_unknown_attribute_is_a_finding(printed: str) -> None:
    (number,) = (number for number, mistake in enumerate(MISTAKES) if mistake["finds"] == "CKV_LCA_17")
    lines = [line for line in printed.splitlines() if line.startswith(f"{folder(number)}/main.tf:1: CKV_LCA_17 ")]
    assert [line.rpartition(": ")[2] for line in lines] == ["memory_mb? (api)", "timeout_seconds? (api)"]
    assert "function.memory is unknown" in lines[0]


def test_recall_is_reported(found: set[tuple[str, str]], note: Callable[[str], None]) -> None:
    hits = sum((mistake["finds"], folder(number)) in found for number, mistake in enumerate(MISTAKES))
    note(f"policy: {hits} of {len(MISTAKES)} mistakes found")
    assert len(MISTAKES) >= 25
