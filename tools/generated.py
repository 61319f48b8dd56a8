"""Generated parts of Markdown files: write or check them.

A part is the text between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """Return the text with each part replaced; SystemExit names missing markers."""
    for name, part in parts.items():
        text = between(text, f"<!-- begin {name} -->", f"<!-- end {name} -->", part)
    return text


def between(text: str, begin: str, end: str, part: str) -> str:
    """Return the text with what is between two markers replaced; SystemExit names missing markers."""
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise SystemExit(f"missing markers: {begin} … {end}")
    return f"{head}{begin}\n{part}\n{end}{tail}"


def main(path: Path, render: Callable[[str], str], description: str) -> int:
    """Write the file, or with `--check` only compare it: exit code 1 means stale."""
    return main_for({path: render}, description)


def main_for(pages: Mapping[Path, Callable[[str], str]], description: str) -> int:
    """Write the files, or with `--check` only compare them: exit code 1 means that one is stale."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    is_stale = False
    for path, render in pages.items():
        current = path.read_text()
        expected = render(current)
        if check and current != expected:
            is_stale = True
            sys.stderr.write(f"{path} is stale: run `make docs`\n")
        if not check:
            path.write_text(expected)
    return int(is_stale)
