"""Plots as SVG text for the scorecard's page, which is one file and needs no library to be drawn: the numbers stay text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from html import escape

COLOURS = {"old": "#d9772b", "new": "#2f6aa8"}
LABELS = {"old": "separate functions", "new": "one function"}
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 64, 24, 34, 44
Point = tuple[float, float]


def picture(title: str, height: int, parts: Iterable[str]) -> str:
    """Return a plot with its legend and its title, which readers of the screen get as well."""
    legend = ""
    for number, (side, colour) in enumerate(COLOURS.items()):
        x = LEFT + 160 * number
        legend += f'<circle cx="{x}" cy="14" r="5" fill="{colour}"/>{text(x + 10, 18, LABELS[side], "start")}'
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title>{legend}{''.join(parts)}</svg>"
    )


def text(x: float, y: float, content: str, anchor: str = "middle", colour: str = "#444") -> str:
    """Return a text at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(content)}</text>'


def line(points: Sequence[Point], colour: str, width: float = 2, dash: str = "") -> str:
    """Return a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def bars(title: str, rows: Sequence[tuple[str, float, float, str, str]]) -> str:
    """Return two bars for each row: name, both values and how they read. Each row has its own scale, from 0 to its larger value."""
    parts, y, space = [], TOP + 6, WIDTH - 300 - 90
    for name, old, new, old_text, new_text in rows:
        parts.append(text(290, y + 20, name, "end"))
        largest = max(old, new) or 1
        for offset, side, value, shown in ((0, "old", old, old_text), (16, "new", new, new_text)):
            width = max(space * value / largest, 1)
            parts.append(f'<rect x="300" y="{y + offset}" width="{width:.1f}" height="13" fill="{COLOURS[side]}"/>')
            parts.append(text(306 + width, y + offset + 11, shown, "start"))
        y += 44
    return picture(title, y + 4, parts)


def dots(title: str, groups: Sequence[tuple[str, str, Sequence[float]]], unit: str) -> str:
    """Return a row of dots for each group (name, side, values), with a mark at the median, on one scale from 0."""
    ticks = linear_ticks(max(max(values) for _, _, values in groups))
    left = 190

    def x(value: float) -> float:
        return left + (WIDTH - RIGHT - left) * value / ticks[-1]

    bottom = TOP + 34 * len(groups)
    parts = [line([(x(tick), TOP), (x(tick), bottom)], "#ddd", 1) for tick in ticks]
    parts += [text(x(tick), bottom + 16, f"{tick:g}") for tick in ticks]
    parts.append(text((left + WIDTH - RIGHT) / 2, bottom + 34, unit))
    for number, (name, side, values) in enumerate(groups):
        y = TOP + 17 + 34 * number
        parts.append(text(left - 12, y + 4, name, "end"))
        colour = COLOURS[side]
        parts += [
            f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="{colour}" fill-opacity="0.45"/>' for value in values
        ]
        middle = statistics.median(values)
        parts.append(line([(x(middle), y - 12), (x(middle), y + 12)], colour, 3))
    return picture(title, bottom + BOTTOM, parts)


def curves(
    title: str,
    series: Sequence[tuple[str, Sequence[Point], str]],
    label: str,
    *,
    log_y: bool = False,
    percent: bool = False,
) -> str:
    """Return a line for each series (side, points, dash) over a logarithmic x axis; y is logarithmic or from 0 to 1."""
    points = [point for _, of_series, _ in series for point in of_series]
    x_ticks = decades(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = decades(min(y for _, y in points), max(y for _, y in points)) if log_y else [0, 0.25, 0.5, 0.75, 1]
    height = 320
    bottom = height - BOTTOM

    def place(point: Point) -> Point:
        across = math.log(point[0] / x_ticks[0]) / math.log(x_ticks[-1] / x_ticks[0])
        up = math.log(point[1] / y_ticks[0]) / math.log(y_ticks[-1] / y_ticks[0]) if log_y else point[1]
        return LEFT + (WIDTH - RIGHT - LEFT) * across, bottom - (bottom - TOP) * up

    parts = []
    for tick in x_ticks:
        x, _ = place((tick, y_ticks[0]))
        parts += [line([(x, TOP), (x, bottom)], "#ddd", 1), text(x, bottom + 16, short(tick))]
    for tick in y_ticks:
        _, y = place((x_ticks[0], tick))
        shown = f"{100 * tick:g} %" if percent else short(tick)
        parts += [line([(LEFT, y), (WIDTH - RIGHT, y)], "#ddd", 1), text(LEFT - 6, y + 4, shown, "end")]
    parts += [line([place(point) for point in of_series], COLOURS[side], 2, dash) for side, of_series, dash in series]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, label))
    return picture(title, height, parts)


def distribution(values: Sequence[float]) -> list[Point]:
    """Return the empirical distribution function as points: value, and the share of values up to it."""
    ordered = sorted(values)
    return [(value, (number + 1) / len(ordered)) for number, value in enumerate(ordered)]


def linear_ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to at least the highest value: four to eight steps."""
    step = 10 ** math.floor(math.log10(highest / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if highest <= 8 * factor * step)
    return [step * number for number in range(math.ceil(highest / step) + 1)]


def decades(lowest: float, highest: float) -> list[float]:
    """Return the powers of ten around two values, two at least."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """Return a number in few characters."""
    for limit, suffix in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"
