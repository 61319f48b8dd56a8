from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.scorecard.arrivals import Chunk
from benchmarks.scorecard.cost import FILE, MONTH_SECONDS, Deployment, Prices, monthly, provisioned_break_even, tiered
from benchmarks.scorecard.environments import Fleet, KeepAlive, Result, Start
from benchmarks.scorecard.errors import ScorecardError


def served(provisioned: int = 0) -> Result:
    """Ten requests of 100 ms each, one of them with a start of 900 ms."""
    fleet = Fleet([0], [100.0], KeepAlive(60, 60), Start(constant_ms=900), provisioned=provisioned)
    fleet.serve(Chunk(np.arange(10.0) * 2, np.zeros(10, np.int32), np.ones(10)))
    return fleet.result()


def test_a_month_is_requests_durations_and_initialisation(prices: Prices) -> None:
    dollars = monthly(served(), Deployment(1024), prices, 1e6)

    # 1,900 ms for ten requests, so 190,000 s for a million, at 1 GB.
    assert dollars["duration"] == pytest.approx(190_000 * 0.0000166667)
    assert dollars["requests"] == pytest.approx(0.20)
    assert dollars["gateway"] == pytest.approx(1.00)
    assert dollars["total"] == pytest.approx(sum(value for kind, value in dollars.items() if kind != "total"))


def test_provisioned_environments_are_paid_for_all_month_and_their_durations_cost_less(prices: Prices) -> None:
    dollars = monthly(served(provisioned=2), Deployment(512, provisioned=2), prices, 1e6)

    assert dollars["duration"] == 0
    assert dollars["provisioned"] == pytest.approx(0.5 * (2 * MONTH_SECONDS * 0.0000041667 + 100_000 * 0.0000097222))


def test_snapshots_are_paid_for_by_version_and_restore(prices: Prices) -> None:
    dollars = monthly(served(), Deployment(512, snap_start_versions=3), prices, 1e6)

    assert dollars["snap_start"] == pytest.approx(0.5 * (3 * MONTH_SECONDS * 0.0000015046 + 1e5 * 0.0001397998))


def test_requests_are_priced_by_tier(prices: Prices) -> None:
    assert tiered(prices.of("gateway.http"), 400e6) == pytest.approx(300 + 90)
    assert tiered(prices.of("gateway.rest"), 1_500e6) == pytest.approx(333 * 3.5 + 667 * 2.8 + 500 * 2.38)


def test_provisioned_concurrency_breaks_even_at_three_fifths_of_the_time(prices: Prices) -> None:
    share = provisioned_break_even(prices, "x86_64")
    table = prices.of("lambda.gb_second.x86_64")

    assert table["provisioned"] + share * table["on_provisioned"] == pytest.approx(share * table["on_demand"])
    assert share == pytest.approx(0.6, abs=0.001)


def test_a_missing_price_is_named(prices: Prices) -> None:
    with pytest.raises(ScorecardError, match=r"the price snap_start\.restore_gb is missing for us-east-1, 2026-11"):
        Prices({"region": "us-east-1", "date": "2026-11", "snap_start": {"restore_gb": None}}).of(
            "snap_start.restore_gb"
        )
    with pytest.raises(ScorecardError, match=r"the price lambda\.gb_second\.riscv\.on_demand is missing"):
        monthly(served(), Deployment(512, architecture="riscv"), prices, 1e6)


def test_prices_of_two_regions_are_not_added(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE.read_text().replace("us-east-1", "eu-central-1"))

    with pytest.raises(ScorecardError, match=r"eu-central-1, and the module's prices\.json of us-east-1"):
        Prices.read(file)
