"""The scorecard as text for a terminal, as Markdown, and as a page in one file."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scorecard import charts
from benchmarks.scorecard.report import table
from benchmarks.scorecard.sides import SIDES

PAGE = Path(__file__).parent / "card.html"
# The record's metrics, in its order.
TITLES = {
    "functions": "Number of functions",
    "deployment": "Deployment time",
    "latency": "Latency",
    "overhead": "Operational overhead",
    "satisfaction": "Developer satisfaction",
    "cost": "Cost",
}
HEADER = ("Figure", "Separate functions", "One function", "Ratio", "Kind")
Results = Mapping[str, Any]


def shown(value: float | None, unit: str) -> str:
    """Return a value with its unit, with as many digits as it is good for."""
    if value is None:
        return "-"
    if unit == "$":
        return f"${value:,.4f}" if 0 < value < 0.1 else f"${value:,.2f}"
    if unit == "share":
        percent = 100 * value
        return f"{percent:.{0 if percent >= 10 or not percent else 2 if percent >= 0.1 else 4}f} %"
    if unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    if unit == "s":
        return f"{value:,.1f} s"
    if unit == "ms":
        return f"{value:,.0f} ms"
    return f"{value:,g}" if unit == "score" else f"{value:,.0f}"


def ratio(row: Mapping[str, Any]) -> str:
    """Return new over old as text, if there is such a thing."""
    if row["unit"] == "score" or row["new"] is None or not row["old"]:
        return "-"
    value = row["new"] / row["old"]
    return "0" if not value else f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}"


def cells(row: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Return a row's cells."""
    old, new = (shown(row[side], row["unit"]) for side in SIDES)
    return row["name"], old, new, ratio(row), row["kind"]


def sections(results: Results) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Yield name, title and result of each metric that was asked for, in the record's order."""
    return ((name, title, results["metrics"][name]) for name, title in TITLES.items() if name in results["metrics"])


def facts(results: Results) -> str:
    """Return where and when it was measured, in a sentence."""
    machine = results["machine"]
    return (
        f"Measured on {results['date']} at commit {results['commit']}: {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}, load average {machine['load']:g} at the beginning."
    )


def text(results: Results) -> str:
    """Return the scorecard for a terminal."""
    lines = [facts(results)]
    for _, title, result in sections(results):
        lines += ["", title]
        if "failed" in result:
            lines.append(f"  not measured: {result['failed']}")
            continue
        for row in result["rows"]:
            name, old, new, over, kind = cells(row)
            lines.append(f"  {name:<48}{old:>14}{new:>14}{over:>8}  {kind}")
    return "\n".join(
        [*lines, "", f"Columns: {', '.join(HEADER[1:4])}, {HEADER[4]}. Ratio: one function over separate functions."]
    )


def markdown(results: Results) -> str:
    """Return the scorecard as Markdown, below headings of the third level."""
    parts = [f"{facts(results)}\n"]
    for _, title, result in sections(results):
        parts.append(f"### {title}\n")
        if "failed" in result:
            parts.append(f"Not measured: {result['failed']}\n")
            continue
        parts.append(table(HEADER, map(cells, result["rows"])))
        parts.append("".join(f"- {line}\n" for line in result["limits"]))
    return "\n".join(parts)


def change(rows: Sequence[Mapping[str, Any]], older: Results) -> str:
    """Return the ratios to an older run, for a terminal and for Markdown alike."""
    header = ("Figure", *(f"{charts.LABELS[side]}, now / then" for side in SIDES), "Kind")
    made = [
        (
            f"{TITLES[row['metric']]}: {row['name']}",
            *(f"{row[side]:.2f}" if side in row else "-" for side in SIDES),
            row["kind"],
        )
        for row in rows
    ]
    return f"Against {older['date']}, commit {older['commit']}, {older['machine']['cpu']}:\n\n{table(header, made)}"


def page(results: Results) -> str:
    """Return the scorecard as HTML with plots, in one file that loads nothing."""
    parts = []
    for name, title, result in sections(results):
        inner = f"<h2>{html.escape(title)}</h2>"
        if "failed" in result:
            parts.append(
                f'<section id="{name}">{inner}<p class="failed">Not measured: {html.escape(result["failed"])}</p></section>'
            )
            continue
        inner += "".join(
            f"<figure>{svg}<figcaption>{html.escape(kind)}</figcaption></figure>" for svg, kind in plots(name, result)
        )
        inner += _html_table(result["rows"])
        inner += f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in result['limits'])}</ul>"
        parts.append(f'<section id="{name}">{inner}</section>')
    made = PAGE.read_text(encoding="utf-8").replace("{{facts}}", html.escape(facts(results)))
    return made.replace("{{sections}}", "\n".join(parts))


def _html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in HEADER)
    body = ""
    for row in rows:
        *values, kind = (html.escape(cell) for cell in cells(row))
        mark = kind.replace(" ", "-")
        body += f'<tr>{"".join(f"<td>{each}</td>" for each in values)}<td><span class="{mark}">{kind}</span></td></tr>'
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def plots(name: str, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a metric's plots, each with its caption, which says what kind its figures are of."""
    detail, rows = result["detail"], {row["name"]: row for row in result["rows"]}
    if name == "functions":
        chosen = [_bar(row) for row in rows.values() if row["new"]]
        return [(charts.bars("Functions and resources", chosen), "Counted from both plans: measured")]
    if name == "overhead":
        added = [_bar(row) for title, row in rows.items() if title.startswith("one more")]
        copies = [_bar(row) for title, row in rows.items() if title.startswith(("duplicated", "installed"))]
        return [
            (charts.bars("What one more endpoint adds", added), "What one more endpoint adds: measured"),
            (charts.bars("Copies", copies), "Copies of code and packages: measured"),
        ]
    if name == "deployment":
        return [_dots("From an edit to its answer", detail["seconds"], "seconds")]
    if name == "latency":
        series = [
            (side, charts.distribution(detail["milliseconds"][side][kind]), dash)
            for kind, dash in (("warm", ""), ("cold", "5 4"))
            for side in SIDES
        ]
        title = "Share of requests with a response after so many milliseconds"
        caption = f"{title}; dashed: with the emulator's cold starts, which are not AWS's: measured"
        curves = charts.curves(title, series, "milliseconds", percent=True)
        return [(curves, caption), _dots("Start of the code, alike for both", detail["starts"], "milliseconds")]
    if name == "cost":
        of = {side: [(month["per_month"], month[side]["dollars"]) for month in detail["months"]] for side in SIDES}
        whole = [(side, [(x, each["total"]) for x, each in of[side]], "") for side in SIDES]
        lambdas = [(side, [(x, each["requests"] + each["duration"]) for x, each in of[side]], "5 4") for side in SIDES]
        curves = charts.curves("Dollars a month", [*whole, *lambdas], "requests a month", log_y=True)
        return [(curves, "Dollars a month, without alarms and dashboard; dashed: Lambda alone: priced")]
    return []


def _dots(title: str, values: Mapping[str, Sequence[float]], unit: str) -> tuple[str, str]:
    groups = [(charts.LABELS[side], side, values[side]) for side in SIDES]
    return charts.dots(title, groups, unit), f"{title}; the line is the median: measured"


def _bar(row: Mapping[str, Any]) -> tuple[str, float, float, str, str]:
    _, old, new, _, _ = cells(row)
    return row["name"].removeprefix("one more endpoint: "), row["old"], row["new"], old, new
