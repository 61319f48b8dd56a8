"""renovate.json raises every pinned requirement, and each of its patterns finds something.

Renovate's own validator runs where it is installed (npm, 500 MB), and in CI.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from sandbox.paths import ROOT
from tests.docs.conftest import files, name

CONFIGURATION: dict[str, Any] = json.loads((ROOT / "renovate.json").read_text())
CUSTOM: list[dict[str, Any]] = CONFIGURATION["customManagers"]


def matches(patterns: list[str], path: str) -> bool:
    return any(re.search(pattern.strip("/"), path) for pattern in patterns)


def python(pattern: str) -> str:
    """Return a pattern of Renovate, whose groups are `(?<name>…)`, as one of Python."""
    return pattern.replace("(?<", "(?P<")


def test_every_requirements_file_is_raised_and_names_its_command() -> None:
    by_command = CONFIGURATION["pip-compile"]["managerFilePatterns"]
    by_hash = CONFIGURATION["pip_requirements"]["managerFilePatterns"]
    for path in [*ROOT.glob("requirements/*.txt"), *ROOT.glob("service/*.txt")]:
        assert matches(by_command, name(path)) != matches(by_hash, name(path)), name(path)
        assert f"--output-file={name(path)}" in path.read_text().splitlines()[1], "compile it as `make lock` does"


@pytest.mark.parametrize("manager", CUSTOM, ids=lambda manager: manager["description"])
def test_custom_pattern_finds_something(manager: dict[str, Any]) -> None:
    texts = [path.read_text() for path in files() if matches(manager["managerFilePatterns"], name(path))]
    last = python(manager["matchStrings"][-1])
    assert any(re.search(last, text) for text in texts)


def test_renovate_accepts_the_configuration() -> None:
    program = shutil.which("renovate-config-validator")
    if program is None:
        pytest.skip("renovate-config-validator is not installed: CI runs it")
    command = [program, "--strict", "--no-global", "renovate.json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
