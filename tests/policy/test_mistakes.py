"""Common mistakes, each of which the gate must find."""

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
# Concatenated, so that no scanner reports this file as a leak.
KEY = "AKIA" + "Z3XQ7RT5WJ2MNP4K"


def folder(number: int) -> str:
    return f"mistake-{number:02}"


@pytest.fixture(scope="session")
def found(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Check and folder of each finding, from one scan of all mistakes."""
    project = tmp_path_factory.mktemp("mistakes")
    for number, seed in enumerate(MISTAKES):
        path = project / folder(number)
        for kind, file in FILES.items():
            if kind in seed:
                path.mkdir()
                (path / file).write_text(seed[kind].replace("{key}", KEY))
        if "workflow" in seed:
            (project / ".github/workflows").mkdir(parents=True)
            (project / f".github/workflows/{folder(number)}.yml").write_text(seed["workflow"])
    code, output, _ = gate(project)
    assert code == 1
    lines = re.findall(r"^\S*?(mistake-\d\d)\S*: (CKV\S+) ", output, re.MULTILINE)
    return {(check, path) for path, check in lines}


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[seed["mistake"] for seed in MISTAKES])
def test_mistake_is_found(number: int, found: set[tuple[str, str]]) -> None:
    assert (MISTAKES[number]["finds"], folder(number)) in found


def test_recall_is_reported(found: set[tuple[str, str]], note: Callable[[str], None]) -> None:
    hits = sum((seed["finds"], folder(number)) in found for number, seed in enumerate(MISTAKES))
    note(f"policy: {hits} of {len(MISTAKES)} seeded mistakes found")
    assert len(MISTAKES) >= 25
