"""Prints a comparison: a table by route, the differences, and what was not compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from migration import output
from migration.accepted import Entry
from migration.comparison import Found, Result, RouteResult, percentile

HEADINGS = ("route", "compared", "differ", "accepted", "not compared", "status", "old p50", "p99", "new p50", "p99")
# Places and failures of a route that are printed; the file of --json has all of them.
SHOWN = 10
RIGHT = {1, 2, 3, 4, 6, 7, 8, 9}


def text(result: Result) -> str:
    """Return the table and what is below it."""
    lines = output.columns([HEADINGS, *(_row(each) for each in result.routes if each.compared or each.failures)], RIGHT)
    lines += ["  Latencies are in ms, told for information; they never fail a comparison."]
    for each in result.routes:
        lines += _details(each)
    for entry, count in _accepted(result):
        lines.append(f"  accepted: {entry}: {entry.reason} ({_times(count)})")
    lines += [f"  accepted, and no longer there: {entry}: {entry.reason}. Remove it." for entry in result.gone]
    lines += [f"  accepted, and not met in this run: {entry}" for entry in result.unused]
    if unrequested := [each.route for each in result.routes if not (each.compared or each.failures or each.skipped)]:
        lines.append(f"  no requests, so nothing is known about: {', '.join(unrequested)}")
    if result.skipped:
        skipped = ", ".join(f"{each.skipped} {each.route}" for each in result.routes if each.skipped)
        lines.append(f"  writes, not sent without --writes: {skipped}")
    return "\n".join(lines)


def summary(result: Result) -> str:
    """Return the result in one sentence."""
    differing = sum(each.differing for each in result.routes)
    accepted = sum(each.accepted for each in result.routes)
    equal = result.compared - differing - accepted
    counts = (
        f"{result.compared} requests compared: {equal} equal, {accepted} with accepted differences, {differing} differ"
    )
    gone = f"; {len(result.gone)} accepted differences are no longer there" if result.gone else ""
    missing = f"; {result.not_compared} not compared" if result.not_compared else ""
    return f"{counts}{gone}{missing}"


def _row(each: RouteResult) -> tuple[str, ...]:
    statuses = ", ".join(
        f"{old if old == new else f'{old}→{new}'} ({count})" for (old, new), count in sorted(each.statuses.items())
    )
    times = [percentile(values, percent) for values in each.milliseconds for percent in (50, 99)]
    counts = (each.compared, each.differing, each.accepted, len(each.failures))
    return (each.route, *map(str, counts), statuses, *("-" if time is None else f"{time:.1f}" for time in times))


def _accepted(result: Result) -> list[tuple[Entry, int]]:
    """Return the entries that were needed, with the number of differences that each accepts."""
    counts: Counter[Entry] = Counter()
    for each in result.routes:
        for found in each.found.values():
            if found.entry:
                counts[found.entry] += found.count
    return sorted(counts.items(), key=lambda item: item[0].number)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _details(each: RouteResult) -> Iterator[str]:
    """Return lines for the differences and failures of a route; one for each place of a response that differs."""
    if each.only_refused:
        yield f"  only refused: {each.route}: every response was 401 or 403, so nothing behind it was compared"
    places: dict[tuple[str, str, bool], list[Found]] = {}
    for found in each.found.values():
        if found.entry is None:
            key = (found.difference.kind, found.difference.name, found.difference.structural)
            places.setdefault(key, []).append(found)
    for group in list(places.values())[:SHOWN]:
        requests = sum(found.count for found in group)
        values = f", {len(group)} different pairs" if len(group) > 1 else ""
        yield f"  differs: {each.route}: {group[0].difference} ({group[0].first.place}; {_times(requests)}{values})"
    if len(places) > SHOWN:
        yield f"  differs: {each.route}: {len(places) - SHOWN} more places"
    for line in sorted(each.failures)[:SHOWN]:
        yield f"  not compared: {each.route}: {each.failures[line].place}: {each.failures[line].failure}"
    if len(each.failures) > SHOWN:
        yield f"  not compared: {each.route}: {len(each.failures) - SHOWN} more"
