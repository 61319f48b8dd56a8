"""Lambda's execution environments as discrete events: one request each, reuse, expiry, initialisation, provisioned concurrency.

A request takes an idle environment, or starts one (a cold start). An environment that was idle for its keep-alive time is gone.
Environments of provisioned concurrency come first, and never expire.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.scorecard.arrivals import Chunk, Floats
from benchmarks.scorecard.errors import ScorecardError

# Which idle environment takes a request: the one that was used last, the one that was idle for longest, or the one that was
# created first. AWS documents none of them.
REUSE = {"newest": 0, "longest_idle": 1, "first": 2}
# Latencies are counted in bins that are 1 % wide, from 0.01 ms on.
LEAST_MS, BINS, WIDTH = 0.01, 2100, 0.01


@dataclass(frozen=True)
class KeepAlive:
    """Seconds that an idle environment lives: uniform between two values.

    With `ticks`, a platform looks at these times only, and removes what was idle for longer than `low`, as the sandbox's
    emulator does.
    """

    low: float
    high: float
    ticks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ScorecardError(
                "keep-alive: 0 <= low <= high, in seconds, since an environment cannot expire before it is idle."
            )


@dataclass(frozen=True)
class Start:
    """Milliseconds that a new environment takes: a constant (the code's imports) and a log-normal part (the platform's).

    Attributes:
        median_ms, p90_ms: of the platform's part; both 0 for none.
        constant_ms: the code's part.
        billed: whether the time is part of the billed duration. A restore from a snapshot is billed by size instead.
    """

    median_ms: float = 0.0
    p90_ms: float = 0.0
    constant_ms: float = 0.0
    billed: bool = True

    @property
    def sigma(self) -> float:
        """Of the log-normal part."""
        return math.log(self.p90_ms / self.median_ms) / 1.2815515655446004 if self.median_ms else 0.0

    @property
    def mean_ms(self) -> float:
        """Mean of both parts."""
        return self.constant_ms + self.median_ms * math.exp(self.sigma**2 / 2)


class _Settings(NamedTuple):
    """What the compiled code reads; tuples are constants to it."""

    keep_alive: tuple[float, float]
    ticks: Floats
    start: tuple[float, float, float, bool]
    provisioned: int
    reuse: int


@dataclass(frozen=True)
class Latencies:
    """A histogram of milliseconds, in bins that are 1 % wide."""

    counts: NDArray[np.int64]

    def quantile(self, share: float) -> float:
        """Return the milliseconds that this share of the requests does not exceed, within 0.5 %; NaN without requests."""
        total = int(self.counts.sum())
        if not total:
            return math.nan
        found = int(np.searchsorted(np.cumsum(self.counts), max(math.ceil(share * total), 1)))
        return LEAST_MS * math.exp((found + 0.5) * WIDTH)


@dataclass(frozen=True)
class Result:
    """What became of the requests so far, by function where an array.

    Attributes:
        seconds: from 0 to the last arrival.
        requests, cold, on_provisioned: requests; those that waited for a start; those that ran on provisioned concurrency.
        billed_ms, billed_provisioned_ms: billed duration, on demand and on provisioned concurrency, each rounded up to 1 ms.
        started_ms: time that requests waited for starts.
        peak: most environments that existed at once.
        all, warm: latencies of all requests, and of those without a cold start.
    """

    seconds: float
    requests: NDArray[np.int64]
    cold: NDArray[np.int64]
    on_provisioned: NDArray[np.int64]
    billed_ms: Floats
    billed_provisioned_ms: Floats
    started_ms: Floats
    peak: NDArray[np.int64]
    all: Latencies
    warm: Latencies

    @property
    def cold_share(self) -> float:
        """Share of all requests that waited for a start."""
        return float(self.cold.sum() / self.requests.sum())

    @property
    def waited_ms(self) -> float:
        """Mean time per request spent waiting for a start."""
        return float(self.started_ms.sum() / self.requests.sum())


@dataclass
class Fleet:
    """Functions, each with its environments, that serve the endpoints' requests.

    Attributes:
        function_of: number of the function that serves each endpoint.
        mean_ms: mean duration of each endpoint's requests on its function.
        provisioned: environments of provisioned concurrency of every function.
        reuse: `newest`, `longest_idle` or `first`.
    """

    function_of: Sequence[int] | NDArray[np.int32]
    mean_ms: Sequence[float] | Floats
    keep_alive: KeepAlive
    start: Start
    provisioned: int = 0
    reuse: str = "newest"
    seed: int = 0
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.reuse not in REUSE:
            raise ScorecardError(f"reuse is one of {', '.join(REUSE)}, not {self.reuse}.")
        # Not the arrivals' own numbers, if their seed is the same.
        self._rng = np.random.default_rng((self.seed, 1))
        self._function_of = np.asarray(self.function_of, np.int32)
        self._mean_ms = np.asarray(self.mean_ms, np.float64)
        if len(self._function_of) != len(self._mean_ms):
            raise ScorecardError(
                f"{len(self._function_of)} endpoints have a function, and {len(self._mean_ms)} a mean duration."
            )
        functions = int(self._function_of.max()) + 1
        # By function and environment: when it was or will be free, when it expires, and its number by age. -inf is unused.
        self._free, self._expires, self._number = (
            np.full((functions, 8 + self.provisioned), -np.inf) for _ in range(3)
        )
        self._used = np.full(functions, self.provisioned, np.int64)
        self._free[:, : self.provisioned] = 0.0
        self._expires[:, : self.provisioned] = np.inf
        self._counts = np.zeros((4, functions), np.int64)  # requests, cold, on provisioned, environments started
        self._peak = np.full(functions, self.provisioned, np.int64)
        self._sums = np.zeros((3, functions))  # billed, billed on provisioned, waited
        self._bins = np.zeros((2, BINS), np.int64)
        self._end = 0.0

    def serve(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Serve consecutive requests, and return which of them had a cold start. Chunks follow each other in time."""
        keep, start = self.keep_alive, self.start
        # Exact types: each combination of int and float would be compiled again.
        settings = _Settings(
            (float(keep.low), float(keep.high)),
            np.sort(np.asarray(keep.ticks, np.float64)),
            (float(start.constant_ms), float(start.median_ms), float(start.sigma), start.billed),
            self.provisioned,
            REUSE[self.reuse],
        )
        cold = np.zeros(len(chunk.times), np.bool_)
        done = 0
        while True:
            done = _serve(
                done, (chunk.times, chunk.endpoints, chunk.factors), self._function_of, self._mean_ms, settings, self._rng,
                (self._free, self._expires, self._number, self._used, self._peak), self._counts, self._sums, self._bins, cold,
            )  # fmt: skip
            if done == len(cold):
                break
            self._grow()
        self._end = float(chunk.times[-1]) if len(cold) else self._end
        return cold

    def result(self) -> Result:
        """Return what became of the requests so far."""
        requests, cold, on_provisioned, _ = self._counts.copy()
        billed, billed_provisioned, waited = self._sums.copy()
        seen = [Latencies(bins.copy()) for bins in self._bins]
        return Result(
            self._end, requests, cold, on_provisioned, billed, billed_provisioned, waited, self._peak.copy(), *seen
        )

    def _grow(self) -> None:
        """Make room for twice as many environments."""
        more = np.full_like(self._free, -np.inf)
        self._free, self._expires, self._number = (
            np.concatenate((kept, more), axis=1) for kept in (self._free, self._expires, self._number)
        )


@njit(cache=True)
def _serve(done, chunk, function_of, mean_ms, settings, rng, environments, counts, sums, bins, cold):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Serve requests from number `done` on; return how many are done: fewer than all if a function has no room for a start."""
    times, endpoints, factors = chunk
    (low, high), ticks, (constant, median, sigma, start_is_billed), provisioned, reuse = settings
    all_free, all_expires, all_number, used, peak = environments
    room = all_free.shape[1]
    for i in range(done, len(times)):
        now = times[i]
        function = function_of[endpoints[i]]
        free, expires, number = all_free[function], all_expires[function], all_number[function]
        found, gone, best = -1, -1, np.inf
        for slot in range(used[function]):
            if free[slot] > now:
                continue
            if slot < provisioned:
                found = slot
                break
            if expires[slot] <= now:
                gone = slot
                continue
            rank = -free[slot] if reuse == 0 else (free[slot] if reuse == 1 else number[slot])
            if rank < best:
                found, best = slot, rank
        duration = mean_ms[endpoints[i]] * factors[i]
        waited = 0.0
        if found < 0:
            if gone >= 0:
                found = gone
            elif used[function] < room:
                found = used[function]
                used[function] += 1
            else:
                return i
            cold[i] = True
            counts[1, function] += 1
            counts[3, function] += 1
            number[found] = counts[3, function]
            waited = constant
            if median > 0:
                waited += median * np.exp(sigma * rng.standard_normal())
            sums[2, function] += waited
        counts[0, function] += 1
        if found < provisioned:
            counts[2, function] += 1
            sums[1, function] += np.ceil(duration)
        else:
            sums[0, function] += np.ceil(duration + waited) if start_is_billed else np.ceil(duration)
        free[found] = now + (waited + duration) / 1000
        if found >= provisioned:
            if len(ticks):
                tick = np.searchsorted(ticks, free[found] + low)
                expires[found] = ticks[tick] if tick < len(ticks) else np.inf
            elif high > low:
                expires[found] = free[found] + low + (high - low) * rng.random()
            else:
                expires[found] = free[found] + low
        if cold[i]:
            # Forget what is gone at the end, so that a burst does not slow down what follows, and count what exists.
            while (
                used[function] > provisioned and free[used[function] - 1] <= now and expires[used[function] - 1] <= now
            ):
                used[function] -= 1
            alive = 0
            for slot in range(used[function]):
                if expires[slot] > now or free[slot] > now:
                    alive += 1
            peak[function] = max(peak[function], alive)
        latency = duration + waited
        place = int(np.log(latency / LEAST_MS) / WIDTH) if latency > LEAST_MS else 0
        place = min(place, BINS - 1)
        bins[0, place] += 1
        if not cold[i]:
            bins[1, place] += 1
    return len(times)
