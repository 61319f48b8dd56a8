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
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, found_begin, rest = text.partition(begin)
        _, found_end, tail = rest.partition(end)
        if not (found_begin and found_end):
            raise SystemExit(f"missing markers: {begin} … {end}")
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    return text


def main(path: Path, render: Callable[[str], str], description: str) -> int:
    """Write the file, or with `--check` only compare it: exit code 1 means stale."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    current = path.read_text()
    expected = render(current)
    if check and current != expected:
        sys.stderr.write(f"{path} is stale: run `make docs`\n")
        return 1
    if not check:
        path.write_text(expected)
    return 0
