"""The documentation's pages and the repository's files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.paths import ROOT


def files() -> list[Path]:
    """Return the text files that git tracks, and new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = [ROOT / name for name in names if name]
    return [path for path in paths if path.is_file() and not path.is_symlink() and b"\0" not in path.read_bytes()]


def pages() -> list[Path]:
    return sorted(path for path in files() if path.suffix == ".md")


@cache
def tokens(page: Path) -> list[Token]:
    return list(_flat(MarkdownIt("commonmark").enable("table").parse(page.read_text())))


def _flat(nested: list[Token]) -> Iterator[Token]:
    for token in nested:
        yield token
        yield from _flat(token.children or [])


def blocks(page: Path, language: str) -> list[Token]:
    """Return a page's code blocks of a language, those with a title included."""
    return [token for token in tokens(page) if token.type == "fence" and token.info.split(" ")[0] == language]


def name(path: Path) -> str:
    return os.fspath(path.relative_to(ROOT))
