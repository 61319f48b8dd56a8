from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.scorecard import validation
from benchmarks.scorecard.arrivals import Arrivals, Chunk
from benchmarks.scorecard.environments import Fleet, KeepAlive, Start
from benchmarks.scorecard.errors import ScorecardError

CHECKS = list(validation.checks(requests=200_000))
MINUTE = KeepAlive(60, 60)


def chunk(times: list[float], endpoints: list[int] | None = None, durations_ms: list[float] | None = None) -> Chunk:
    number = len(times)
    return Chunk(
        np.array(times), np.array(endpoints or [0] * number, np.int32), np.array(durations_ms or [1000.0] * number)
    )


def fleet(function_of: list[int] | None = None, **attributes: Any) -> Fleet:
    """Return functions whose requests take their factors in ms."""
    of = function_of or [0]
    defaults: dict[str, Any] = {"mean_ms": [1.0] * len(of), "keep_alive": MINUTE, "start": Start()}
    return Fleet(of, **(defaults | attributes))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_simulation_agrees_with_the_closed_form(check: validation.Check) -> None:
    assert check.holds, f"exact {check.exact:.5f}, simulated {check.simulated:.5f}, accepted {check.accepted:.5f}"


def test_erlangs_formula_has_its_published_values() -> None:
    assert validation.erlang_b(1, 1.0) == pytest.approx(0.5)
    assert validation.erlang_b(10, 5.0) == pytest.approx(0.01838, abs=1e-5)


def test_an_environment_serves_one_request_at_a_time() -> None:
    assert fleet().serve(chunk([0.0, 0.5, 2.0, 2.1])).tolist() == [True, True, False, False]


def test_an_environment_that_was_idle_for_longer_than_its_keep_alive_is_gone() -> None:
    # The first ends after one second.
    assert fleet().serve(chunk([0.0, 60.9])).tolist() == [True, False]
    assert fleet().serve(chunk([0.0, 61.1])).tolist() == [True, True]


def test_one_function_is_warm_where_separate_ones_are_not() -> None:
    requests = chunk([0.0, 40.0, 80.0, 120.0], [0, 1, 0, 1])

    assert fleet([0, 0]).serve(requests).tolist() == [True, False, False, False]
    assert fleet([0, 1]).serve(requests).tolist() == [True, True, True, True]


def test_a_start_delays_the_request_and_keeps_the_environment_busy() -> None:
    slow = fleet(start=Start(constant_ms=500))
    cold = slow.serve(chunk([0.0, 1.2, 1.6]))
    result = slow.result()

    # The first takes 1.5 s, so that the second finds it busy, and the third finds it idle.
    assert cold.tolist() == [True, True, False]
    assert result.waited_ms == pytest.approx(1000 / 3)
    assert result.all.quantile(0.99) == pytest.approx(1500, rel=0.01)
    assert result.warm.quantile(0.99) == pytest.approx(1000, rel=0.01)


def test_initialisation_is_billed_and_a_restore_is_not() -> None:
    for billed, expected in ((True, 1500.0), (False, 1000.0)):
        functions = fleet(start=Start(constant_ms=500, billed=billed))
        functions.serve(chunk([0.0]))
        assert functions.result().billed_ms.tolist() == [expected]


def test_durations_are_billed_in_whole_milliseconds() -> None:
    functions = fleet()
    functions.serve(chunk([0.0, 1.0], durations_ms=[1.2, 2.0]))

    assert functions.result().billed_ms.tolist() == [4.0]


def test_provisioned_environments_come_first_and_never_expire() -> None:
    functions = fleet(provisioned=1)

    assert functions.serve(chunk([0.0, 0.5, 1000.0, 1000.5])).tolist() == [False, True, False, True]
    result = functions.result()
    assert result.on_provisioned.tolist() == [2]
    assert result.billed_provisioned_ms.tolist() == [2000.0]


@pytest.mark.parametrize(("reuse", "last_is_cold"), [("newest", True), ("longest_idle", False), ("first", False)])
def test_reuse_decides_which_environment_expires(reuse: str, last_is_cold: bool) -> None:
    # Two environments, idle from second 1 and 2. One of them serves second 50. At second 61.6 both are needed.
    requests = chunk([0.0, 0.1, 50.0, 61.5, 61.6], durations_ms=[1000, 1900, 1000, 1000, 1000])

    assert fleet(reuse=reuse).serve(requests).tolist() == [True, True, False, False, last_is_cold]


def test_ticks_remove_what_was_idle_for_long_enough() -> None:
    ticking = KeepAlive(5, 5, ticks=(30.0, 60.0))

    # Idle from second 1: gone at 30. Idle from second 27: not yet 5 s at 30, gone at 60.
    assert fleet(keep_alive=ticking).serve(chunk([0.0, 26.0, 40.0, 70.0])).tolist() == [True, False, False, True]
    assert fleet(keep_alive=ticking).serve(chunk([0.0, 31.0])).tolist() == [True, True]


def test_more_environments_than_there_is_room_for_are_made_room_for() -> None:
    functions = fleet()
    cold = functions.serve(chunk([0.001 * number for number in range(100)]))

    assert cold.all()
    assert functions.result().peak.tolist() == [100]


def test_chunks_continue_where_the_last_one_ended() -> None:
    arrivals = Arrivals(np.array([0.5, 0.1, 0.02]), spread=0.5)
    whole, parts = (Fleet([0, 1, 2], [300.0] * 3, KeepAlive(20, 40), Start(84, 99, 120)) for _ in range(2))
    for functions, size in ((whole, 5000), (parts, 333)):
        for requests in arrivals.chunks(5000, 5, size=size):
            functions.serve(requests)

    assert whole.result().cold.tolist() == parts.result().cold.tolist()
    assert whole.result().started_ms.tolist() == pytest.approx(parts.result().started_ms.tolist())


def test_start_has_the_median_and_percentile_that_it_was_given() -> None:
    functions = fleet(start=Start(160, 300), keep_alive=KeepAlive(0, 0))
    functions.serve(chunk([float(number) for number in range(50_000)], durations_ms=[1e-3] * 50_000))
    result = functions.result()

    assert result.all.quantile(0.5) == pytest.approx(160, rel=0.02)
    assert result.all.quantile(0.9) == pytest.approx(300, rel=0.02)
    assert result.waited_ms == pytest.approx(Start(160, 300).mean_ms, rel=0.02)


def test_latencies_without_requests_are_not_a_number() -> None:
    functions = fleet()
    functions.serve(chunk([0.0]))

    assert math.isnan(functions.result().warm.quantile(0.5))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"reuse": "random"}, "reuse is one of"), ({"mean_ms": [1.0, 2.0]}, "2 a mean duration")],
)
def test_impossible_functions_are_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScorecardError, match=message):
        fleet(**attributes)


def test_a_keep_alive_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ScorecardError, match="0 <= low <= high"):
        KeepAlive(420, 300)
