"""What consumers get wrong, seeded one by one: the gate must find each, and nothing of its own pack in the examples."""

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
# Put together here, so that no scanner takes this project's own file for a leak.
KEY = "AKIA" + "Z3XQ7RT5WJ2MNP4K"


def folder(number: int) -> str:
    return f"mistake-{number:02}"


@pytest.fixture(scope="session")
def found(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Check and folder of each finding, of one scan over all mistakes."""
    project = tmp_path_factory.mktemp("mistakes")
    for number, seed in enumerate(MISTAKES):
        place = project / folder(number)
        for kind, file in FILES.items():
            if kind in seed:
                place.mkdir()
                (place / file).write_text(seed[kind].replace("{key}", KEY))
        if "workflow" in seed:
            (project / ".github/workflows").mkdir(parents=True)
            (project / f".github/workflows/{folder(number)}.yml").write_text(seed["workflow"])
    code, said, _ = gate(project)
    assert code == 1
    lines = re.findall(r"^\S*?(mistake-\d\d)\S*: (CKV\S+) ", said, re.MULTILINE)
    return {(check, place) for place, check in lines}


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[seed["mistake"] for seed in MISTAKES])
def test_finds(number: int, found: set[tuple[str, str]]) -> None:
    assert (MISTAKES[number]["finds"], folder(number)) in found


def test_recall_is_counted(found: set[tuple[str, str]], note: Callable[[str], None]) -> None:
    hits = sum((seed["finds"], folder(number)) in found for number, seed in enumerate(MISTAKES))
    note(f"policy: {hits} of {len(MISTAKES)} seeded mistakes found")
    assert len(MISTAKES) >= 25
