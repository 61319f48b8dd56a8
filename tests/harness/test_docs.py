"""docs/harness.md is a project: its files are written as they stand there, and its tests run."""

from __future__ import annotations

import re

from sandbox.paths import ROOT
from tests.harness.conftest import Project

PAGE = ROOT / "docs/harness.md"
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def test_every_test_of_the_page_passes_in_a_project_of_its_own(elsewhere: Project) -> None:
    files = dict(FILE.findall(PAGE.read_text()))
    for name, text in files.items():
        elsewhere.write(name, text)
    elsewhere.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")

    said = elsewhere.pytest("-n", "2", "--dist", "loadfile", "-rA")

    tests = {name for text in files.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    passed = set(re.findall(r"^PASSED \S+::(test_\w+)", said, re.MULTILINE))
    assert passed == tests, said
    assert not re.search(r"^(FAILED|ERROR|SKIPPED)", said, re.MULTILINE), said


def test_every_block_of_code_is_a_file_of_the_project() -> None:
    generated = PAGE.read_text().index("## Fixtures")
    assert re.findall(r"^```(?:hcl|python|yaml)\n", PAGE.read_text()[:generated], re.MULTILINE) == []
