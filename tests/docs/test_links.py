"""Every relative link of a Markdown page leads to a file of the repository, and to a heading or anchor in it."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from sandbox.paths import ROOT
from tests.docs.conftest import name, pages, tokens

PAGES = pages()
EXPLICIT = re.compile(r'<a (?:id|name)="([^"]+)"')


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the page's headings, and those that the page declares."""
    found: set[str] = set()
    parsed = tokens(page)
    for heading, inline in pairwise(parsed):
        if heading.type == "heading_open":
            text = "".join(part.content for part in inline.children or [] if part.type in {"text", "code_inline"})
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            number = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
            found.add(f"{slug}-{number}" if slug in found else slug)
    return found | set(EXPLICIT.findall(page.read_text()))


def targets(page: Path) -> list[str]:
    attributes = {"link_open": "href", "image": "src"}
    found = [str(token.attrs[attributes[token.type]]) for token in tokens(page) if token.type in attributes]
    return [target for target in found if not urlsplit(target).scheme]


def broken(page: Path) -> list[str]:
    errors = []
    for target in targets(page):
        path, fragment = unquote(urlsplit(target).path), urlsplit(target).fragment
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (path and not found.is_relative_to(ROOT)):
            errors.append(f"{target}: no such file")
        elif fragment and (found.suffix != ".md" or fragment not in anchors(found)):
            errors.append(f"{target}: no such heading")
    return errors


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`: c\n## A b c\n[1](nowhere.md) [2](#a-b-c-1) [3](#a-b) [4](page.md#x) ![5](/etc/passwd)\n")
    assert anchors(page) == {"a-b-c", "a-b-c-1"}
    assert [error.partition(":")[0] for error in broken(page)] == ["nowhere.md", "#a-b", "page.md#x", "/etc/passwd"]


def test_documentation_index_names_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / urlsplit(target).path).resolve() for target in targets(index)}
    expected = {page for page in PAGES if page.parent == index.parent and page != index}
    assert sorted(map(name, expected - linked)) == []
