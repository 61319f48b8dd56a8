"""Parts of Markdown files that are made from code: written, or checked to be current.

A part is what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """Return the text with each part made anew; SystemExit names the markers that are not there."""
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, found_begin, rest = text.partition(begin)
        _, found_end, tail = rest.partition(end)
        if not (found_begin and found_end):
            raise SystemExit(f"there is no {begin} … {end}")
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    return text


def main(path: Path, render: Callable[[str], str], description: str) -> int:
    """Write the file anew, or with `--check` only compare: exit code 1 means that it is stale."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 when stale")
    check = parser.parse_args().check
    current = path.read_text()
    wanted = render(current)
    if check and current != wanted:
        sys.stderr.write(f"{path} is stale: run `make docs`\n")
        return 1
    if not check:
        path.write_text(wanted)
    return 0
