"""What a rollout shows: a live table in a terminal, lines elsewhere, and a summary for the job's page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .journal import Entry

RESULTS = {
    "live": "live",
    "returned": "returned: what served before serves again",
    "unknown": "could not tell which version serves",
}


class Progress:
    """Lines: one for each event, with its time. Nothing is printed while a step is only watched."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr

    def line(self, text: str) -> None:
        """Print a line that belongs to no rollout."""
        print(text, file=self.out, flush=True)

    def begin(self, entry: Entry) -> None:
        """Start showing a rollout."""
        self.line(f"{entry.kind} {entry.id}: version {entry.old} serves; steps {' '.join(map(str, entry.steps))}")

    def event(self, entry: Entry, text: str) -> None:
        """Show an event."""
        self.line(f"{entry.events[-1]['at'][11:19]}Z {text}")

    def watching(self, entry: Entry, left: float) -> None:
        """Show that a step is watched for `left` more seconds."""

    def end(self, entry: Entry) -> None:
        """Show the result."""
        self.line(f"{RESULTS[str(entry.result)]}: {entry.reason}")
        for line in served(entry):
            self.line(f"  {line}")


class LiveProgress(Progress):
    """A table that is redrawn, for a terminal."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.console = Console(file=self.out)
        self.live: Live | None = None
        self.left = 0.0

    def line(self, text: str) -> None:
        """Print a line above the table."""
        self.console.print(text, markup=False, highlight=False)

    def begin(self, entry: Entry) -> None:
        """Start the table."""
        if self.live is None:
            self.live = Live(self._table(entry), console=self.console, refresh_per_second=4)
            self.live.start()

    def event(self, entry: Entry, text: str) -> None:
        """Print the event, and redraw the table."""
        super().event(entry, text)
        self._redraw(entry)

    def watching(self, entry: Entry, left: float) -> None:
        """Redraw the table with the time that is left."""
        self.left = left
        self._redraw(entry)

    def end(self, entry: Entry) -> None:
        """Draw the last table, and the result."""
        self._redraw(entry)
        if self.live is not None:
            self.live.stop()
            self.live = None
        super().end(entry)

    def _redraw(self, entry: Entry) -> None:
        if self.live is not None:
            self.live.update(self._table(entry))

    def _table(self, entry: Entry) -> Table:
        table = Table(title=f"{entry.kind}: version {entry.old} → {entry.new or 'the next'}")
        for column in ("step", "state"):
            table.add_column(column)
        for step in entry.steps:
            if entry.result is not None and step >= entry.percent:
                state = "served" if entry.result == "live" and step == entry.percent else str(entry.result)
            elif step < entry.percent:
                state = "passed"
            elif step == entry.percent:
                state = f"{entry.state}, {self.left:.0f} s left" if entry.state == "watching" else entry.state
            else:
                state = ""
            table.add_row(f"{step} %", state)
        return table


def served(entry: Entry) -> list[str]:
    """Return a line for each share of requests: which version got how much, for how long."""
    lines = []
    for shares, seconds in entry.served():
        text = ", ".join(f"version {version} {share} %" for version, share in shares.items())
        lines.append(f"{text}: {duration(seconds)}")
    return lines


def duration(seconds: float) -> str:
    """Return a duration as text."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def summary(entry: Entry, function: str) -> str:
    """Return the Markdown for the job's page."""
    lines = [
        f"### {entry.kind.capitalize()} of `{function}`: {RESULTS[str(entry.result)]}",
        "",
        entry.reason,
        "",
        "| Requests to | For |",
        "|---|---|",
    ]
    for shares, seconds in entry.served():
        text = ", ".join(f"version {version}: {share} %" for version, share in shares.items())
        lines.append(f"| {text} | {duration(seconds)} |")
    lines += ["", "| Time (UTC) | Event |", "|---|---|"]
    lines += [f"| {event['at'][11:19]} | {_cell(event['text'])} |" for event in entry.events]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:500]


def write(path: Path, text: str, *, append: bool = False) -> None:
    """Write a summary to a file."""
    with path.open("a" if append else "w", encoding="utf-8") as file:
        file.write(text)
