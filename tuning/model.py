"""The model behind a proposal: duration by memory, environments by load, and dollars. docs/tuning.md explains it."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sandbox.paths import MODULE, ROOT
from tuning.errors import TuningError
from tuning.reports import Report

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html: one vCPU at 1,769 MB, and in proportion below.
# A handler in Python uses one.
VCPU_MB = 1769
LIMITS_MB = (128, 10240)
STEP_MB = 64
# Of memory, at most. The module's alarm is at 90 %.
USED_SHARE = 0.8
# Fewer leave the 99th percentile to chance.
MIN_REQUESTS = 100
# What is cheapest may be slow for the sake of a cent: this much more is paid for speed.
SPEED_PREMIUM = 1.05
# Of the predicted duration; above it, the memory sizes are too close or the requests too few.
MAX_ERROR = 0.25
MIN_SPAN_SECONDS = 600
# Requests of the busiest minute that find an environment: warm with provisioned concurrency, at all with reserved.
WARM, SERVED = 0.99, 0.9999
GROWTH = 2
UNRAISED_QUOTA = 900
MONTH_SECONDS = 730 * 3600


@dataclass(frozen=True)
class Prices:
    """Dollars, by unit, from the module's prices.json."""

    region: str
    date: str
    request: float
    on_demand: float
    provisioned: float
    on_provisioned: float

    @classmethod
    def of(cls, architecture: str) -> Prices:
        """Return the prices for arm64 or x86_64."""
        table = json.loads((ROOT / MODULE / "prices.json").read_text(encoding="utf-8"))
        request = table["gateway_request"] + table["lambda_request"]
        return cls(table["region"], table["date"], request, **table["gb_second"][architecture])


@dataclass(frozen=True)
class Durations:
    """Mean duration by memory: a constant part (waiting for others) and a CPU part, stated at one vCPU.

    Attributes:
        constant_ms, cpu_ms: the parts.
        sizes: requests by memory size.
        deviation_ms: standard deviation of single requests from the model.
        ratios: duration of each request over its size's mean, sorted.
    """

    constant_ms: float
    cpu_ms: float
    sizes: Counter[int]
    deviation_ms: float
    ratios: Sequence[float]

    def mean(self, memory_mb: int) -> float:
        """Return the mean duration in milliseconds."""
        return self.constant_ms + self.cpu_ms * slowness(memory_mb)

    def percentile(self, memory_mb: int, share: float) -> float:
        """Return a percentile: each request is as many times slower than the mean as it was in the logs."""
        return self.mean(memory_mb) * quantile(self.ratios, share)

    def error(self, memory_mb: int) -> float:
        """Return two standard errors of the predicted mean, as a share of it."""
        points = {size: slowness(size) for size in self.sizes}
        total = self.sizes.total()
        centre = sum(points[size] * number for size, number in self.sizes.items()) / total
        spread = sum((points[size] - centre) ** 2 * number for size, number in self.sizes.items())
        distance = (slowness(memory_mb) - centre) ** 2
        return (
            2 * self.deviation_ms * math.sqrt(1 / total + (distance / spread if distance else 0)) / self.mean(memory_mb)
        )


def slowness(memory_mb: int) -> float:
    """Return how many times longer a second of CPU takes than with one vCPU."""
    return VCPU_MB / min(memory_mb, VCPU_MB)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of sorted values that at least this share of them does not exceed."""
    return values[max(math.ceil(share * len(values)) - 1, 0)]


def fit(reports: Iterable[Report]) -> Durations:
    """Fit durations by least squares to the warm, successful requests of all memory sizes with at least 100 of them.

    With one size (or sizes that all have one vCPU or more) the CPU part is unknown: it is 0, and the constant part the mean.

    Raises:
        TuningError: no size has 100 such requests, or sizes are too close for a prediction.
    """
    by_size: dict[int, list[float]] = {}
    for report in reports:
        if report.succeeded and not report.start_ms:
            by_size.setdefault(report.memory_mb, []).append(report.duration_ms)
    enough = {size: durations for size, durations in by_size.items() if len(durations) >= MIN_REQUESTS}
    if not enough:
        seen = ", ".join(f"{len(d)} at {size} MB" for size, d in sorted(by_size.items())) or "none"
        raise TuningError(
            f"too few requests: {MIN_REQUESTS} or more at one memory size are needed, warm and successful, "
            f"since fewer leave the 99th percentile to chance. The logs have {seen}. Read a longer time."
        )
    means = {size: statistics.fmean(durations) for size, durations in enough.items()}
    if not all(means.values()):
        raise TuningError("every request took 0 ms: these are not the durations of a function.")
    constant, cpu = _parts({size: (means[size], len(enough[size])) for size in enough})
    residuals = [d - (constant + cpu * slowness(size)) for size, durations in enough.items() for d in durations]
    return Durations(
        constant,
        cpu,
        Counter({size: len(durations) for size, durations in enough.items()}),
        math.sqrt(statistics.fmean(r * r for r in residuals)),
        sorted(d / means[size] for size, durations in enough.items() for d in durations),
    )


def _parts(means: dict[int, tuple[float, int]]) -> tuple[float, float]:
    """Return constant and CPU part, neither below 0, by least squares over sizes' means, weighted by requests."""
    total = sum(number for _, number in means.values())
    mean = sum(value * number for value, number in means.values()) / total
    points = [(slowness(size), value, number) for size, (value, number) in means.items()]
    if len({x for x, _, _ in points}) == 1:
        return mean, 0.0
    centre = sum(x * number for x, _, number in points) / total
    spread = sum((x - centre) ** 2 * number for x, _, number in points)
    cpu = sum((x - centre) * (y - mean) * number for x, y, number in points) / spread
    if cpu < 0:
        return mean, 0.0
    if mean - cpu * centre < 0:  # all of it is CPU
        return 0.0, sum(x * y * number for x, y, number in points) / sum(x * x * number for x, _, number in points)
    return mean - cpu * centre, cpu


@dataclass(frozen=True)
class Load:
    """When requests came.

    Attributes:
        seconds: from the first start to the last end.
        per_second: mean rate.
        median, busiest: requests per second in the median and in the busiest minute; minutes without requests count.
        peak: most requests at once, at the memory size that served last.
    """

    seconds: float
    per_second: float
    median: float
    busiest: float
    peak: int


def load(sources: Sequence[Sequence[Report]], scale: Callable[[int], float] = lambda _: 1) -> Load | None:
    """Return the load, or None if a line has no time or the logs cover less than ten minutes.

    `scale` is how many times longer a request of a memory size would have taken where the peak is wanted for.

    Sources that overlap in time are one log. Between others, nothing is known: that time does not count.
    """
    logs: list[list[tuple[float, float]]] = []
    for spans in sorted(filter(None, (_spans(source, scale) for source in sources))):
        if logs and spans[0][0] <= max(end for _, end in logs[-1]):
            logs[-1] += spans
        else:
            logs.append(spans)
    seconds = sum(max(end for _, end in log) - min(log)[0] for log in logs)
    requests = sum(map(len, logs))
    if seconds < MIN_SPAN_SECONDS or requests < sum(map(len, sources)):
        return None
    minutes = sorted(rate for log in logs for rate in _minutes(log))
    return Load(seconds, requests / seconds, quantile(minutes, 0.5), minutes[-1], max(map(_peak, logs)))


def _spans(reports: Iterable[Report], scale: Callable[[int], float]) -> list[tuple[float, float]]:
    """Return when requests began and ended, sorted."""
    timed = ((report, report.ended) for report in reports if report.ended is not None)
    begun = ((report, ended - (report.duration_ms + report.start_ms) / 1000) for report, ended in timed)
    return sorted(
        (begin, begin + (report.duration_ms * scale(report.memory_mb) + report.start_ms) / 1000)
        for report, begin in begun
    )


def _minutes(spans: Sequence[tuple[float, float]]) -> Iterable[float]:
    """Return requests per second of each minute, from the first begin to the last."""
    first = min(spans)[0]
    counts = Counter(int((begin - first) // 60) for begin, _ in spans)
    return [counts[minute] / 60 for minute in range(max(counts) + 1)]


def _peak(spans: Iterable[tuple[float, float]]) -> int:
    """Return the most requests at once. At the same instant an end comes first: one environment can serve both."""
    changes = sorted(change for begin, end in spans for change in ((begin, 1), (end, -1)))
    return max(accumulate(change for _, change in changes))


def at_once(mean: float, share: float) -> int:
    """Return the number of environments that suffices for this share of the time.

    `mean` is Little's law: requests per second times seconds each. Requests that come independently of each other are then
    Poisson distributed around it.
    """
    total, number = math.exp(-mean), 0
    while total < share:
        number += 1
        total += math.exp(number * math.log(mean) - mean - math.lgamma(number + 1)) if mean else 0
    return number


@dataclass(frozen=True)
class Option:
    """One memory size, with the concurrency that it needs.

    Attributes:
        mean_ms: mean duration, with cold starts unless provisioned concurrency avoids them.
        p99_ms: 99th percentile of a warm request's.
        reserved: proposed function.reserved_concurrency; None if the load is unknown.
        provisioned: proposed provisioned_concurrency, min and max; None for none.
        usd: dollars per 1,000 requests, API Gateway's and Lambda's.
    """

    memory_mb: int
    mean_ms: float
    p99_ms: float
    reserved: int | None
    provisioned: tuple[int, int] | None
    usd: float


@dataclass(frozen=True)
class Targets:
    """What a proposal must meet: the mean duration, and the share of requests that may have a cold start."""

    mean_ms: float = 200
    cold_share: float = 0.01


@dataclass(frozen=True)
class Proposal:
    """A proposal, and what it is based on.

    Attributes:
        current: the memory size that served last.
        floor_mb: least memory with headroom above what was used.
        cold_share, start_ms: share of requests with a cold start, and their mean initialisation.
        options: memory sizes to choose from, ascending; `chosen` and `current` are among them, unless unknown.
        notes: what could not be known, and what else to consider.
    """

    durations: Durations
    load: Load | None
    current: Option
    chosen: Option
    options: Sequence[Option]
    used_mb: int
    floor_mb: int
    cold_share: float
    start_ms: float
    notes: Sequence[str]


def propose(sources: Sequence[Sequence[Report]], prices: Prices, targets: Targets) -> Proposal:
    """Return the proposal for a function with the requests of these logs.

    Raises:
        TuningError: the logs do not allow one.
    """
    reports = [report for source in sources for report in source]
    if not reports:
        raise TuningError(
            "no REPORT lines: nothing was logged in that time, or this is not a Lambda function's log. --function reads logs in JSON; "
            "save a text log with `aws logs tail`, and name the file."
        )
    durations = fit(reports)
    known = [report for report in reports if report.memory_mb in durations.sizes]
    current_mb = max(reversed(known), key=lambda report: report.ended or 0).memory_mb
    traffic = load(sources, lambda memory_mb: durations.mean(current_mb) / durations.mean(memory_mb))
    starts = [report.start_ms for report in reports if report.start_ms]
    cold_share, start_ms = len(starts) / len(reports), statistics.fmean(starts) if starts else 0.0
    used = max(report.used_mb for report in reports)
    floor = _up(used / USED_SHARE)
    if floor > LIMITS_MB[1]:
        raise TuningError(
            f"the function used {used} MB, and with headroom needs {floor} MB: more than Lambda's {LIMITS_MB[1]} MB."
        )
    snapshots = any(report.restored for report in reports)
    provision = traffic is not None and cold_share > targets.cold_share and not snapshots

    def option(memory_mb: int) -> Option:
        warm = durations.mean(memory_mb)
        # Provisioned environments initialise before the request, and at no charge.
        mean = warm + (0 if provision else cold_share * start_ms)
        reserved = provisioned = None
        fee = 0.0
        if traffic:
            # Shorter requests make no burst smaller.
            peak = math.ceil(traffic.peak * max(warm / durations.mean(current_mb), 1))
            busy_seconds = (warm + cold_share * start_ms) / 1000
            reserved = GROWTH * max(at_once(traffic.busiest * busy_seconds, SERVED), peak)
            if provision:
                least = max(at_once(traffic.median * mean / 1000, WARM), 1)
                provisioned = (least, max(at_once(traffic.busiest * mean / 1000, WARM), least))
                reserved = max(reserved, provisioned[1] + 2 * least)
                fee = least * memory_mb / 1024 * prices.provisioned / traffic.per_second
        billed = mean + 0.5  # in whole milliseconds: half of one more on average
        gb_second = prices.on_provisioned if provision else prices.on_demand
        usd = 1000 * (prices.request + billed / 1000 * memory_mb / 1024 * gb_second + fee)
        return Option(memory_mb, mean, durations.percentile(memory_mb, 0.99), reserved, provisioned, usd)

    notes = list(_notes(reports, traffic, snapshots, cold_share > targets.cold_share, targets))
    speeds = {slowness(size) for size in durations.sizes}
    if len(speeds) == 1:
        options = [option(max(current_mb, floor))]
        notes.append(
            f"{_sized(durations.sizes)} only: how durations depend on memory cannot be known, so memory is only raised if it is short. "
            f"Deploy another memory_mb{' below 1769' if speeds == {1} else ''} for a day, and read the logs of both days."
        )
    else:
        sizes = _sizes(floor)
        options = [option(size) for size in sizes if durations.error(size) <= MAX_ERROR]
        if not options:
            raise TuningError(
                f"durations cannot be predicted within {MAX_ERROR:.0%} at any memory size: those in the logs ({_sized(durations.sizes)}) "
                "are too close, or the requests too few. Use sizes a factor of two apart, or read a longer time."
            )
        if len(options) < len(sizes):
            notes.append(f"Sizes whose duration cannot be predicted within {MAX_ERROR:.0%} are left out.")
    chosen = _choose(options, targets.mean_ms)
    if chosen.mean_ms > targets.mean_ms:
        notes.append(f"The mean duration stays above {targets.mean_ms:g} ms: memory alone does not change that.")
    if chosen.reserved and chosen.reserved > UNRAISED_QUOTA:
        notes.append(
            f"Reserving more than {UNRAISED_QUOTA} needs a raised quota: an account has 1,000, of which 100 stay unreserved."
        )
    return Proposal(durations, traffic, option(current_mb), chosen, options, used, floor, cold_share, start_ms, notes)


def _sized(sizes: Iterable[int]) -> str:
    return ", ".join(f"{size} MB" for size in sorted(sizes))


def _up(memory_mb: float) -> int:
    return max(math.ceil(memory_mb / STEP_MB) * STEP_MB, LIMITS_MB[0])


def _sizes(floor: int) -> list[int]:
    """Return the memory sizes worth comparing: from the floor to one vCPU, above which one thread gets no faster."""
    return [floor] if floor >= VCPU_MB else [*range(floor, VCPU_MB, STEP_MB), VCPU_MB]


def _choose(options: Sequence[Option], target_ms: float) -> Option:
    """Return the fastest option that costs at most 5 % more than the cheapest one that meets the target.

    If none meets it, the cheapest within 5 % of the fastest.
    """
    meeting = [option for option in options if option.mean_ms <= target_ms]
    if not meeting:
        fastest = min(option.mean_ms for option in options)
        return min((o for o in options if o.mean_ms <= fastest * SPEED_PREMIUM), key=lambda o: o.usd)
    cheapest = min(option.usd for option in meeting)
    return min((o for o in meeting if o.usd <= cheapest * SPEED_PREMIUM), key=lambda o: o.mean_ms)


def _notes(
    reports: Sequence[Report], traffic: Load | None, snapshots: bool, too_cold: bool, targets: Targets
) -> Iterable[str]:
    failed = sum(not report.succeeded for report in reports)
    if failed:
        yield f"{failed} of {len(reports)} requests failed or timed out: they count as load, not in durations."
    if traffic is None:
        timed = all(report.ended is not None for report in reports)
        reason = (
            "the lines cover less than ten minutes" if timed else "lines without a time do not show when requests came"
        )
        yield f"Concurrency is left out: {reason}. JSON lines, and those of `aws logs tail`, have a time."
    elif traffic.seconds < 86400:
        yield f"The logs cover {traffic.seconds / 3600:.1f} h: a busier hour of the day may be missing."
    if too_cold and snapshots:
        yield "SnapStart is on, which excludes provisioned concurrency: what is left are restorations."
    elif too_cold and traffic:
        yield f"More than {targets.cold_share:.1%} of the requests had a cold start: hence provisioned concurrency."
