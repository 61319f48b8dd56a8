"""Requests: when they arrive, at which endpoint, and how much longer or shorter than the mean each takes.

Each endpoint is its own arrival process. The next arrival of every endpoint waits in a heap, so memory does not grow with the
number of requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.scorecard.errors import ScorecardError

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

CHUNK = 1_000_000
DAY = 86_400.0
FLAT_DAY = (1.0,) * 24
PROCESSES = {"poisson": 0, "gamma": 1, "bursts": 2}


@dataclass(frozen=True)
class Chunk:
    """Consecutive requests.

    Attributes:
        times: seconds since the start, ascending.
        endpoints: number of each request's endpoint.
        factors: each request's duration over its endpoint's mean duration.
    """

    times: Floats
    endpoints: Integers
    factors: Floats


@dataclass(frozen=True)
class Arrivals:
    """Independent arrival processes, one per endpoint.

    Attributes:
        rates: mean requests per second of each endpoint.
        process: `poisson`; `gamma`, a renewal process; or `bursts`, Poisson arrivals that are switched on and off (an interrupted
            Poisson process, the simplest MMPP).
        cv: of `gamma`: the standard deviation of the time between two requests over its mean; 1 is Poisson.
        burst_size, burst_share: of `bursts`: mean requests in a burst, and the share of the time that is burst.
        day: 24 hourly weights, which all endpoints share.
        spread: sigma of the log-normal duration factors, which have mean 1; 0 for constant durations.
    """

    rates: Floats
    process: str = "poisson"
    cv: float = 1.0
    burst_size: float = 20.0
    burst_share: float = 0.05
    day: Sequence[float] = FLAT_DAY
    spread: float = 0.0

    def __post_init__(self) -> None:
        if self.process not in PROCESSES:
            raise ScorecardError(f"process is one of {', '.join(PROCESSES)}, not {self.process}.")
        if not len(self.rates) or not (np.isfinite(self.rates).all() and (self.rates > 0).all()):
            raise ScorecardError("rates must be above 0, for one endpoint or more: without requests there is no share.")
        if self.cv <= 0 or self.burst_size <= 0 or not 0 < self.burst_share < 1 or self.spread < 0:
            raise ScorecardError(
                "cv and burst_size must be above 0, burst_share between 0 and 1, and spread 0 or more: "
                "they are a deviation, a number of requests, a share of the time, and a deviation."
            )
        if len(self.day) != 24 or min(self.day) <= 0:
            raise ScorecardError("day has 24 weights above 0, one per hour.")

    def chunks(self, requests: int, seed: int, size: int = CHUNK) -> Iterator[Chunk]:
        """Generate a number of requests, in chunks of at most `size`."""
        rng = np.random.default_rng(seed)
        count = len(self.rates)
        # Of each endpoint: what is left of its burst, and its next arrival. The heap orders endpoints by next arrival.
        left = np.zeros(count)
        following = np.zeros(count)
        kind = PROCESSES[self.process]
        # Exact types: each combination of int and float would be compiled again.
        shape = (kind, float(1 / self.cv**2), float(self.burst_size), float(self.burst_share))
        for endpoint in range(count):
            following[endpoint] = _gap(endpoint, self.rates, shape, left, rng)
        heap = np.argsort(following).astype(np.int32)
        knots = np.concatenate(([0.0], np.cumsum(np.asarray(self.day, dtype=float)))) * DAY / sum(self.day)
        while requests > 0:
            number = min(size, requests)
            out = (np.empty(number), np.empty(number, np.int32), np.empty(number))
            _generate(out, heap, following, left, self.rates, shape, knots, float(self.spread), rng)
            requests -= number
            yield Chunk(*out)


def zipf(endpoints: int, exponent: float) -> Floats:
    """Return the shares of endpoints, most popular first, which add up to 1. Exponent 0 makes them equal."""
    weights = np.arange(1, endpoints + 1, dtype=float) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


@njit(cache=True)
def _gap(endpoint, rates, shape, left, rng):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Return the time until an endpoint's next request, in the time of a flat day."""
    kind, gamma_shape, burst_size, burst_share = shape
    rate = rates[endpoint]
    if kind == 0:
        return rng.standard_exponential() / rate
    if kind == 1:
        return rng.standard_gamma(gamma_shape) / gamma_shape / rate
    burst = burst_size * burst_share / rate  # mean seconds
    pause = burst * (1 - burst_share) / burst_share
    passed = 0.0
    while True:
        gap = rng.standard_exponential() * burst_share / rate
        if gap < left[endpoint]:
            left[endpoint] -= gap
            return passed + gap
        passed += left[endpoint] + rng.standard_exponential() * pause
        left[endpoint] = rng.standard_exponential() * burst


@njit(cache=True)
def _generate(out, heap, following, left, rates, shape, knots, spread, rng):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    times, endpoints, factors = out
    count = len(heap)
    hour, day = 0, 0
    for i in range(len(times)):
        endpoint = heap[0]
        flat = following[endpoint]
        # From the time of a flat day to the day's hours.
        while flat >= (day + 1) * DAY:
            day += 1
            hour = 0
        rest = flat - day * DAY
        while hour < 23 and rest >= knots[hour + 1]:
            hour += 1
        times[i] = day * DAY + 3600 * (hour + (rest - knots[hour]) / (knots[hour + 1] - knots[hour]))
        endpoints[i] = endpoint
        factors[i] = np.exp(spread * rng.standard_normal() - spread * spread / 2) if spread > 0 else 1.0
        following[endpoint] = flat + _gap(endpoint, rates, shape, left, rng)
        # Sift the root down to its place.
        place = 0
        while True:
            child = 2 * place + 1
            if child >= count:
                break
            if child + 1 < count and following[heap[child + 1]] < following[heap[child]]:
                child += 1
            if following[heap[child]] >= following[endpoint]:
                break
            heap[place] = heap[child]
            place = child
        heap[place] = endpoint
