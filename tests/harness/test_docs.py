"""docs/harness.md as a project: its files are written as they are, and its tests run."""

from __future__ import annotations

import re

from sandbox.paths import ROOT
from tests.harness.conftest import Project

PAGE = ROOT / "docs/harness.md"
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def test_tests_on_the_page_pass_in_another_project(elsewhere: Project) -> None:
    files = dict(FILE.findall(PAGE.read_text()))
    for name, text in files.items():
        elsewhere.write(name, text)
    elsewhere.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")

    output = elsewhere.pytest("-n", "2", "--dist", "loadfile", "-rA")

    tests = {name for text in files.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    passed = set(re.findall(r"^PASSED \S+::(test_\w+)", output, re.MULTILINE))
    assert passed == tests, output
    assert not re.search(r"^(FAILED|ERROR|SKIPPED)", output, re.MULTILINE), output


def test_every_code_block_is_a_file_of_the_project() -> None:
    generated = PAGE.read_text().index("## Fixtures")
    assert re.findall(r"^```(?:hcl|python|yaml)\n", PAGE.read_text()[:generated], re.MULTILINE) == []
