"""The model recovers the parameters of generated logs, within the error that it states."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import product

import pytest

from sandbox.paths import MODULE, ROOT
from tests.tuning.traffic import BEGIN, Function
from tuning.errors import TuningError
from tuning.model import Option, Prices, Proposal, Targets, at_once, fit, load, propose
from tuning.reports import Report, parse

PRICES = Prices.of("x86_64")
HOUR = 3600


def reports(function: Function, memory_mb: int, seconds: float, seed: int, begin: float = BEGIN) -> list[Report]:
    return list(parse(function.log(memory_mb, seconds, seed, begin), "generated"))


def two_sizes(function: Function, seed: int, seconds: float = HOUR) -> list[list[Report]]:
    return [
        reports(function, 512, seconds, seed),
        reports(function, 1024, seconds, seed + 1, BEGIN + seconds),
    ]


def proposal(sources: Sequence[Sequence[Report]], mean_ms: float = 200, cold_share: float = 0.01) -> Proposal:
    return propose(sources, PRICES, Targets(mean_ms, cold_share))


def refusal(sources: Sequence[Sequence[Report]]) -> str:
    with pytest.raises(TuningError) as error:
        proposal(sources)
    return str(error.value)


# Durations


@pytest.mark.parametrize(
    "function",
    [Function(), Function(constant_ms=1, cpu_ms=200), Function(constant_ms=150, cpu_ms=2), Function(variation=1)],
    ids=["both parts", "mostly CPU", "mostly waiting", "widely spread"],
)
def test_durations_are_predicted_within_the_stated_error(function: Function) -> None:
    # Two standard errors: 95 % of predictions, at sizes in the logs, between and beyond them.
    within = []
    for seed, memory_mb in product(range(0, 40, 2), (256, 512, 700, 1769, 3008)):
        durations = fit(r for source in two_sizes(function, seed, 600) for r in source)
        miss = abs(durations.mean(memory_mb) / function.mean(memory_mb) - 1)
        within.append(miss <= durations.error(memory_mb))
    assert sum(within) / len(within) > 0.88


def test_durations_without_variation_are_recovered_exactly() -> None:
    durations = fit(Report(size, 90, 40 + 25 * 1769 / min(size, 1769)) for size in (256, 512, 3008) for _ in range(100))
    assert durations.constant_ms == pytest.approx(40)
    assert durations.cpu_ms == pytest.approx(25)
    assert durations.error(1024) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("at_512", "at_1024", "constant", "cpu"),
    [(100, 100, 100, 0), (90, 110, 100, 0), (100, 50, 0, 100 * 512 / 1769)],
    ids=["no CPU", "slower with more memory", "nothing but CPU"],
)
def test_no_part_of_a_duration_is_negative(at_512: float, at_1024: float, constant: float, cpu: float) -> None:
    durations = fit(Report(size, 90, d) for size, d in ((512, at_512), (1024, at_1024)) for _ in range(100))
    assert (durations.constant_ms, durations.cpu_ms) == pytest.approx((constant, cpu))


def test_more_than_one_cpu_changes_nothing() -> None:
    durations = fit(r for source in two_sizes(Function(), 1) for r in source)
    assert durations.mean(1769) == durations.mean(10240) < durations.mean(1768)


def test_p99_of_the_logs_is_predicted() -> None:
    function = Function(variation=0.5)
    sources = two_sizes(function, 1)
    durations = fit(r for source in sources for r in source)
    for source, size in zip(sources, (512, 1024), strict=True):
        warm = sorted(r.duration_ms for r in source if not r.start_ms)
        share_below = sum(d <= durations.percentile(size, 0.99) for d in warm) / len(warm)
        assert share_below == pytest.approx(0.99, abs=0.004)


def test_cold_starts_and_failures_are_left_out_of_durations() -> None:
    odd = [Report(512, 90, 5000, start_ms=300), Report(1024, 90, 9000, succeeded=False)]
    durations = fit([Report(size, 90, 100) for size in (512, 1024) for _ in range(100)] + odd * 100)
    assert durations.mean(512) == durations.mean(1024) == 100


# Load


def test_load_of_a_known_hour() -> None:
    # One request every second for an hour, and 300 more in its eleventh minute, 50 at the same instant.
    steady = [Report(512, 90, 500, ended=BEGIN + second + 0.5) for second in range(HOUR)]
    burst = [Report(512, 90, 100, ended=BEGIN + 600 + second * 10 + 0.1) for second in range(6) for _ in range(50)]
    known = load([steady + burst])
    assert known is not None
    assert known.seconds == pytest.approx(HOUR - 0.5, abs=0.01)
    assert known.per_second == pytest.approx((HOUR + 300) / (HOUR - 0.5), rel=0.001)
    assert known.median == pytest.approx(1)
    assert known.busiest == pytest.approx(6)
    assert known.peak == 51


def test_requests_that_follow_each_other_share_an_environment() -> None:
    known = load([[Report(512, 90, 1000, ended=BEGIN + second) for second in range(1000)]])
    assert known is not None
    assert known.peak == 1


def test_idle_minutes_count_and_the_time_between_two_logs_does_not() -> None:
    function = Function(per_second=5)
    day_later = BEGIN + 86400
    apart = load([reports(function, 512, HOUR, 1), reports(function, 512, HOUR, 2, day_later)])
    one_log = load([reports(function, 512, HOUR, 1) + reports(function, 512, HOUR, 2, day_later)])
    assert apart is not None
    assert one_log is not None
    assert apart.per_second == pytest.approx(5, rel=0.05)
    assert apart.median == pytest.approx(5, rel=0.1)
    assert one_log.median == 0


def test_logs_of_the_same_time_are_one() -> None:
    function = Function(per_second=5)
    known = load([reports(function, 512, HOUR, 1), reports(function, 512, HOUR, 2)])
    assert known is not None
    assert known.per_second == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(("mean", "share"), [(0.3, 0.99), (5, 0.99), (5, 0.9999), (2000, 0.99)])
def test_environments_suffice_for_their_share_of_the_time(mean: float, share: float) -> None:
    # Independent of the formula: requests that come one by one, of 0.25 s each, counted at random instants.
    chance, seconds, each = random.Random(1), 4000 if mean < 100 else 100, 0.25  # noqa: S311
    counts = [0] * int(seconds / each)
    time = 0.0
    while (time := time + chance.expovariate(mean / each)) < seconds:
        counts[int(time / each)] += 1  # those that began within 0.25 s before the instant at its end
    number = at_once(mean, share)
    tolerance = 3 * (share * (1 - share) / len(counts)) ** 0.5
    assert sum(count <= number for count in counts) / len(counts) >= share - tolerance
    assert sum(count <= number - 1 for count in counts) / len(counts) < share + tolerance


def test_no_load_needs_no_environment() -> None:
    assert at_once(0, 0.99) == 0


# Cost


def test_cost_of_a_known_request() -> None:
    # 99.5 ms and half a millisecond for rounding, at 512 MB: 0.05 GB-s at $0.0000166667, and $1.20 per million requests.
    sources = [[Report(512, 90, 99.5, ended=BEGIN + second) for second in range(1000)]]
    assert proposal(sources).chosen.usd == pytest.approx(1000 * (0.05 * 0.0000166667 + 1.2e-6), rel=1e-9)


def test_arm64_costs_less_by_its_price() -> None:
    sources = [[Report(512, 90, 99.5, ended=BEGIN + second) for second in range(1000)]]
    arm64 = propose(sources, Prices.of("arm64"), Targets()).chosen.usd
    assert (arm64 / 1000 - 1.2e-6) / (proposal(sources).chosen.usd / 1000 - 1.2e-6) == pytest.approx(0.8, rel=1e-5)


def test_prices_name_region_date_and_source() -> None:
    table = json.loads((ROOT / MODULE / "prices.json").read_text())
    assert table["region"] == "us-east-1"
    assert table["date"].startswith("20")
    assert all(source.startswith("https://aws.amazon.com/") for source in table["source"])


# Proposals


def true_cost(function: Function, memory_mb: int) -> float:
    """Return dollars of a request, from the true parameters."""
    mean = function.mean(memory_mb) + function.cold_share * function.init_ms
    return (mean + 0.5) / 1000 * memory_mb / 1024 * PRICES.on_demand + PRICES.request


@pytest.mark.parametrize("seed", range(0, 10, 2))
@pytest.mark.parametrize("target_ms", [120, 200, 500])
def test_proposal_is_the_fastest_within_five_percent_of_the_cheapest(seed: int, target_ms: float) -> None:
    function = Function()
    proposed = proposal(two_sizes(function, seed), mean_ms=target_ms).chosen
    meeting = [
        size
        for size in [*range(192, 1769, 64), 1769]
        if function.mean(size) + function.cold_share * function.init_ms <= target_ms
    ]
    limit = 1.05 * min(true_cost(function, size) for size in meeting)
    best = max(size for size in meeting if true_cost(function, size) <= limit)
    # The fit is not exact, so a neighbour may be proposed.
    assert abs(proposed.memory_mb - best) <= 64


def test_memory_has_headroom_above_what_was_used() -> None:
    # 700 MB used are at most 80 % of 896 MB.
    known = proposal(two_sizes(Function(constant_ms=50, cpu_ms=0.001, used_mb=700), 1))
    assert known.floor_mb == 896
    assert min(option.memory_mb for option in known.options) == 896


def test_function_that_only_waits_gets_little_memory() -> None:
    assert proposal(two_sizes(Function(constant_ms=100, cpu_ms=0.1), 1)).chosen.memory_mb <= 256


def test_function_that_only_computes_gets_a_whole_cpu() -> None:
    # It costs the same at any size, since what is twice as fast takes half as long.
    assert proposal(two_sizes(Function(constant_ms=0.1, cpu_ms=100), 1), mean_ms=1000).chosen.memory_mb >= 1664


def test_reserved_concurrency_is_twice_what_the_busiest_minute_needs() -> None:
    # Two requests per second of 100 ms, evenly: 0.2 at once on average, never two; at most 3 in 99.99 % of the time.
    even = [Report(512, 90, 100, ended=BEGIN + number / 2) for number in range(2 * HOUR)]
    known = proposal([even])
    assert known.load is not None
    assert known.load.peak == 1
    assert known.chosen.reserved == 2 * 3


def test_peak_is_what_it_would_have_been_at_the_current_memory() -> None:
    # At 256 MB two requests overlap; at 1024 MB, which serves now, each ends before the next.
    slow = [Report(256, 90, 1500, ended=BEGIN + second) for second in range(1000)]
    fast = [Report(1024, 90, 400, ended=BEGIN + 5000 + second) for second in range(1000)]
    known = proposal([slow, fast])
    assert known.load is not None
    assert known.load.peak == 1
    both = load([slow, fast])
    assert both is not None
    assert both.peak == 2


def test_burst_in_the_logs_fits_the_reserved_concurrency() -> None:
    steady = [Report(512, 90, 100, ended=BEGIN + second) for second in range(HOUR)]
    burst = [Report(512, 90, 100, ended=BEGIN + 700) for _ in range(40)]
    assert proposal([steady + burst]).chosen.reserved == 2 * 41


def test_few_cold_starts_need_no_provisioned_concurrency() -> None:
    assert proposal(two_sizes(Function(cold_share=0.005), 1)).chosen.provisioned is None


def test_many_cold_starts_are_avoided_by_provisioned_concurrency() -> None:
    function = Function(cold_share=0.05, per_second=20)
    known = proposal(two_sizes(function, 1))
    least, most = known.chosen.provisioned or (0, 0)
    seconds = function.mean(known.chosen.memory_mb) / 1000
    assert least == pytest.approx(at_once(20 * seconds, 0.99), abs=1)
    assert known.load is not None
    assert most == pytest.approx(at_once(known.load.busiest * seconds, 0.99), abs=1)
    assert known.chosen.reserved is not None
    # The module's own rule, with a canary.
    assert known.chosen.reserved >= most + 2 * least
    assert known.chosen.mean_ms == pytest.approx(function.mean(known.chosen.memory_mb), rel=0.05)


def test_fee_of_provisioned_environments_is_part_of_the_cost() -> None:
    known = proposal([reports(Function(cold_share=0.05), 512, HOUR, 1)])
    assert known.load is not None
    least, _ = known.chosen.provisioned or (0, 0)
    fee = least * 0.5 * 0.0000041667 / known.load.per_second
    billed = (known.durations.mean(512) + 0.5) / 1000 * 0.5 * 0.0000097222
    assert known.chosen.usd == pytest.approx(1000 * (fee + billed + 1.2e-6), rel=1e-9)


def test_snap_start_excludes_provisioned_concurrency() -> None:
    source = [
        Report(512, 90, 50, start_ms=200 if second % 10 == 0 else 0, restored=second % 10 == 0, ended=BEGIN + second)
        for second in range(1000)
    ]
    known = proposal([source])
    assert known.chosen.provisioned is None
    assert any("SnapStart" in note for note in known.notes)


# What cannot be known


def test_one_memory_size_keeps_it_and_says_what_is_unknown() -> None:
    known = proposal([reports(Function(), 512, HOUR, 1)])
    assert [option.memory_mb for option in known.options] == [512]
    assert any(note.startswith("512 MB only") for note in known.notes)


def test_one_memory_size_that_is_short_is_raised() -> None:
    assert proposal([reports(Function(used_mb=480), 512, HOUR, 1)]).chosen.memory_mb == 640


def test_sizes_with_a_whole_cpu_are_one_size() -> None:
    sources = [reports(Function(), size, HOUR, size, BEGIN + size * HOUR) for size in (2048, 3008)]
    known = proposal(sources)
    assert known.chosen.memory_mb == 3008
    assert any("below 1769" in note for note in known.notes)


def test_lines_without_a_time_give_memory_alone() -> None:
    untimed = [Report(size, 90, 50) for size in (512, 1024) for _ in range(100)]
    known = proposal([untimed])
    assert known.chosen.reserved is None
    assert known.chosen.provisioned is None
    assert any("lines without a time" in note for note in known.notes)


def test_nine_minutes_give_memory_alone() -> None:
    known = proposal([reports(Function(), 512, 540, 1)])
    assert known.load is None
    assert any("less than ten minutes" in note for note in known.notes)


def test_failures_are_counted_in_a_note() -> None:
    failed = [Report(512, 90, 10000, ended=BEGIN + 60, succeeded=False)]
    assert "1 of 201 requests failed or timed out" in " ".join(
        proposal([[Report(512, 90, 50, ended=BEGIN)] * 200 + failed]).notes
    )


def test_reserving_more_than_a_new_account_has_is_noted() -> None:
    burst = [Report(512, 90, 100, ended=BEGIN + second) for second in range(601)] + [
        Report(512, 90, 100, ended=BEGIN)
    ] * 500
    assert any("raised quota" in note for note in proposal([burst]).notes)


def test_empty_log_is_refused() -> None:
    assert refusal([]).startswith("no REPORT lines")


def test_too_few_requests_are_refused() -> None:
    sources = [[Report(512, 90, 50)] * 99 + [Report(1024, 90, 50)] * 3 + [Report(512, 90, 50, start_ms=300)] * 50]
    assert "99 at 512 MB, 3 at 1024 MB" in refusal(sources)


def test_sizes_that_cannot_be_predicted_are_left_out() -> None:
    # 1024 and 1088 MB tell little of 192 MB.
    function = Function(variation=1)
    sources = [reports(function, size, HOUR, size, BEGIN + size * HOUR) for size in (1024, 1088)]
    known = proposal(sources)
    assert all(known.durations.error(option.memory_mb) <= 0.25 for option in known.options)
    assert 192 not in [option.memory_mb for option in known.options]
    assert any("left out" in note for note in known.notes)


def test_logs_that_predict_no_size_are_refused() -> None:
    sources = [[r for size in (1024, 1088) for r in reports(Function(variation=4), size, 60, size)]]
    assert "too close, or the requests too few" in refusal(sources)


def test_memory_beyond_lambdas_limit_is_refused() -> None:
    assert "more than Lambda's 10240 MB" in refusal([[Report(10240, 9000, 50)] * 100])


def test_durations_of_zero_are_refused() -> None:
    assert "0 ms" in refusal([[Report(512, 90, 0)] * 100])


def test_options_get_no_slower_with_memory() -> None:
    options: Sequence[Option] = proposal(two_sizes(Function(), 1)).options
    means = [option.mean_ms for option in options]
    assert means == sorted(means, reverse=True)
    assert len(options) > 20
