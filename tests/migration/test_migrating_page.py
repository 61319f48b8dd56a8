"""docs/migrating.md names what the code has."""

from __future__ import annotations

import re

from migration import account, order
from sandbox.paths import ROOT

PAGE = (ROOT / "docs/migrating.md").read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "migration").glob("*.py"))


def test_page_lists_the_permissions_of_a_reader() -> None:
    (listed,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert tuple(listed.split()) == account.ACTIONS


def test_every_operation_that_is_read_is_among_the_permissions() -> None:
    operations = {name.partition(" ")[0] for name in re.findall(r'"((?:[a-z-]+):[A-Z]\w+)[^"]*"', SOURCES)}
    assert operations <= set(account.ACTIONS)
    assert len(operations) >= len(account.ACTIONS)


def test_page_lists_the_rules_of_the_order() -> None:
    section = PAGE.partition("\n## Order\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\d\. (.*)$", section, re.MULTILINE)) == order.RULES


def test_page_explains_every_risk() -> None:
    codes = set(re.findall(r'Risk\(\s*"([a-z-]+)"', SOURCES))
    explained = set(re.findall(r"`([a-z-]+)`", PAGE.partition("\n## Risks\n")[2].partition("\n### ")[0]))
    assert len(codes) > 25
    assert codes - explained == set()
