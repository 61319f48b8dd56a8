"""The scorecard as text, Markdown and a page: figures, kinds and limits are all there."""

from __future__ import annotations

import copy
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scorecard import card, charts, metrics
from benchmarks.scorecard.__main__ import CARD, CARD_PAGE, card_page, main


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """The run that the documentation shows."""
    found: dict[str, Any] = json.loads(CARD.read_text())
    return found


def test_the_page_of_the_documentation_is_what_its_run_renders(published: dict[str, Any]) -> None:
    assert CARD_PAGE.read_text() == card_page(published), f"run `python -m benchmarks.scorecard publish {CARD.name}`"


def test_the_published_run_has_every_metric(published: dict[str, Any]) -> None:
    assert set(published["metrics"]) == set(card.TITLES) == set(metrics.METRICS)
    assert [name for name, result in published["metrics"].items() if "failed" in result] == []
    assert "dirty" not in published["commit"]


def test_every_figure_says_where_it_comes_from(published: dict[str, Any]) -> None:
    kinds = {row["kind"] for result in published["metrics"].values() for row in result["rows"]}
    assert kinds <= {"measured", "simulated", "priced", "not asked"}
    for rendered in (card.text(published), card.markdown(published), card.page(published)):
        for result in published["metrics"].values():
            for row in result["rows"]:
                (line,) = [line for line in _lines(rendered) if _cell(line) == row["name"]]
                assert line.rstrip(" |").endswith(row["kind"])


def _lines(rendered: str) -> list[str]:
    """Return the rows of a table in any of the three forms, as text with bars between cells."""
    if "<td>" in rendered:
        rows = re.findall(r"<tr>(.*?)</tr>", rendered)
        return [html.unescape(re.sub("<.*?>", "", row.replace("</td>", " | "))) for row in rows]
    return [
        re.sub(r" {2,}", " | ", line.strip()) if not line.startswith("|") else line for line in rendered.splitlines()
    ]


def _cell(line: str) -> str:
    return line.removeprefix("| ").partition(" | ")[0].strip()


def test_limits_stand_beside_the_figures(published: dict[str, Any]) -> None:
    for result in published["metrics"].values():
        assert result["limits"]
        for line in result["limits"]:
            assert line in card.markdown(published)
            assert html.escape(line) in card.page(published)


def test_a_metric_that_failed_is_named_with_its_reason(published: dict[str, Any]) -> None:
    failed = copy.deepcopy(published)
    failed["metrics"]["latency"] = {"failed": "no Docker engine <here>"}
    assert "not measured: no Docker engine <here>" in card.text(failed)
    assert "Not measured: no Docker engine <here>" in card.markdown(failed)
    assert "Not measured: no Docker engine &lt;here&gt;" in card.page(failed)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "s", "-"),
        (0.0046, "$", "$0.0046"),
        (1451.929, "$", "$1,451.93"),
        (0, "$", "$0.00"),
        (0.62, "share", "62 %"),
        (0.0106, "share", "1.06 %"),
        (0.0000485, "share", "0.0049 %"),
        (0, "share", "0 %"),
        (12_345_678, "bytes", "12.3 MB"),
        (6.25, "s", "6.2 s"),
        (1234.5, "ms", "1,234 ms"),
        (954, "lines", "954"),
        (5.5, "score", "5.5"),
    ],
)
def test_values_have_the_digits_that_they_are_good_for(value: float | None, unit: str, shown: str) -> None:
    assert card.shown(value, unit) == shown


@pytest.mark.parametrize(
    ("old", "new", "ratio"),
    [(10, 1, "0.10"), (0, 7, "-"), (98, 0, "0"), (1, 20, "20"), (None, 3, "-"), (300, 5, "0.017")],
)
def test_ratio_is_new_over_old(old: float | None, new: float, ratio: str) -> None:
    assert card.ratio(metrics.row("a", {"old": old, "new": new})) == ratio


@given(st.floats(1e-3, 1e9))
def test_axes_reach_the_highest_value(highest: float) -> None:
    ticks = charts.linear_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-9)
    assert 4 <= len(ticks) - 1 <= 8


@given(st.floats(1e-6, 1e9), st.floats(1, 1e6))
def test_decades_surround_the_values(lowest: float, times: float) -> None:
    ticks = charts.decades(lowest, lowest * times)
    assert len(ticks) >= 2
    assert ticks[0] <= lowest * (1 + 1e-9)
    assert ticks[-1] >= lowest * times * (1 - 1e-9)


def test_distribution_ends_at_all_of_the_values() -> None:
    assert charts.distribution([3, 1, 2, 2]) == [(1, 0.25), (2, 0.5), (2, 0.75), (3, 1.0)]


def test_texts_of_a_plot_are_escaped() -> None:
    drawn = charts.bars('a "b" <c>', [("<d>", 1, 2, "1", "2")])
    assert "<c>" not in drawn
    assert "<d>" not in drawn


def test_publish_refuses_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{}")
    before = CARD_PAGE.read_text()
    assert main(["publish", str(tmp_path / "a.json")]) == 1
    assert "has schema None" in capsys.readouterr().err
    assert CARD_PAGE.read_text() == before


@pytest.mark.browser
def test_the_page_shows_its_plots_and_loads_nothing(published: dict[str, Any], chromium: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "scorecard.html"
    file.write_text(card.page(published))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        urls: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(file.as_uri())
        assert page.locator("h2").all_inner_texts() == list(card.TITLES.values())
        drawings = page.get_by_role("img").all()
        assert len(drawings) == sum(len(card.plots(name, result)) for name, result in published["metrics"].items())
        for drawing in drawings:
            outer = drawing.bounding_box()
            assert outer
            assert outer["width"] > 300
            for text in drawing.locator("text").all():
                box = text.bounding_box()
                assert box
                inside = box["x"] >= outer["x"] and box["x"] + box["width"] <= outer["x"] + outer["width"] + 1
                assert inside, text.inner_html()
        # The page is as wide as the window: nothing is cut off.
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000
        browser.close()
    assert urls == [file.as_uri()]
    assert problems == []
