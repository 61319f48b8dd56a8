"""Lines that several files share, counted exactly: no tool that does so for Python and Terraform is among the requirements.

A line is duplicated if it is in a window of four lines that another file has as well. Blank lines, comments, imports and indentation do
not count, as in pylint's check of the same name and size. Code that differs in a name is not found, so the figure is a lower bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WINDOW = 4
NOT_COUNTED = ("#", "import ", "from ")


@dataclass(frozen=True)
class Duplicates:
    """Lines of code in all files, and those of them that another file has as well."""

    lines: int
    duplicated: int

    @property
    def share(self) -> float:
        """Duplicated lines over all; 0 without lines."""
        return self.duplicated / self.lines if self.lines else 0.0


def code_lines(text: str) -> list[str]:
    """Return the lines that count, without indentation."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith(NOT_COUNTED)]


def duplicates(files: Mapping[str, str], window: int = WINDOW) -> Duplicates:
    """Count over files, given as text by name."""
    lines = {name: code_lines(text) for name, text in files.items()}
    holders: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for name, of_file in lines.items():
        for _, block in _windows(of_file, window):
            holders[block].add(name)
    duplicated = 0
    for of_file in lines.values():
        shared = [start for start, block in _windows(of_file, window) if len(holders[block]) > 1]
        duplicated += len({start + offset for start in shared for offset in range(window)})
    return Duplicates(sum(map(len, lines.values())), duplicated)


def _windows(lines: list[str], window: int) -> Iterable[tuple[int, tuple[str, ...]]]:
    return ((start, tuple(lines[start : start + window])) for start in range(len(lines) - window + 1))
