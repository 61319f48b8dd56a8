"""The simulation against closed forms. Each case gives an exact share of requests, and the arrivals and functions that have it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.scorecard.arrivals import DAY, Arrivals
from benchmarks.scorecard.environments import Fleet, KeepAlive, Result, Start

REQUESTS = 2_000_000
# Standard errors. Gaps of renewal processes are independent, so the share is binomial; elsewhere requests that are close in
# time are not, and the error is allowed as a part of the share.
SIGMAS, RELATIVE = 3.5, 0.01


@dataclass(frozen=True)
class Check:
    """One comparison: shares of requests, and the largest difference that is accepted."""

    name: str
    formula: str
    exact: float
    simulated: float
    accepted: float

    @property
    def relative(self) -> float:
        """The difference as a part of the exact share."""
        return abs(self.simulated - self.exact) / self.exact

    @property
    def holds(self) -> bool:
        """Whether the difference is accepted."""
        return abs(self.simulated - self.exact) <= self.accepted


def checks(requests: int = REQUESTS, seed: int = 7) -> Iterator[Check]:
    """Simulate each case with a number of requests, and compare."""
    poisson = Arrivals(np.array([1.0]))
    # Shape 1/2: the square of a normal variable.
    gamma = Arrivals(np.array([1.0]), process="gamma", cv=math.sqrt(2))
    bursts = Arrivals(np.array([1.0]), process="bursts", burst_size=20, burst_share=0.1)
    uniform = (math.exp(-1) - math.exp(-4)) / 3
    # One request a second on average, which takes no time: cold is who comes later than the keep-alive time.
    renewals = [
        ("Poisson, keep-alive 0.5 mean gaps", "exp(-λT)", math.exp(-0.5), poisson, KeepAlive(0.5, 0.5)),
        ("Poisson, keep-alive 2 mean gaps", "exp(-λT)", math.exp(-2), poisson, KeepAlive(2, 2)),
        ("Poisson, keep-alive 5 mean gaps", "exp(-λT)", math.exp(-5), poisson, KeepAlive(5, 5)),
        ("Poisson, keep-alive uniform from 1 to 4 mean gaps", "mean of exp(-λT)", uniform, poisson, KeepAlive(1, 4)),
        ("gamma renewals, CV² = 2, keep-alive 2 mean gaps", "erfc(sqrt(T / 2m))", math.erfc(1), gamma, KeepAlive(2, 2)),
        (
            "bursts of 20 in a tenth of the time, keep-alive 5 mean gaps",
            "two exponentials (Kuczura 1973)",
            _interrupted(bursts, 5.0),
            bursts,
            KeepAlive(5, 5),
        ),
    ]
    for number, (name, formula, exact, arrivals, keep_alive) in enumerate(renewals):
        simulated = _run(arrivals, Fleet([0], [1e-9], keep_alive, Start()), requests, seed + number).cold_share
        yield Check(name, formula, exact, simulated, SIGMAS * math.sqrt(exact * (1 - exact) / requests))
    yield _day((0.2,) * 12 + (1.8,) * 12, 3.0, requests, seed)
    for provisioned, load in ((2, 1.0), (5, 4.0), (20, 15.0)):
        yield _erlang(provisioned, load, requests, seed + provisioned)


def erlang_b(servers: int, load: float) -> float:
    """Return the share of requests that find all servers busy, by the usual recursion."""
    share = 1.0
    for number in range(1, servers + 1):
        share = load * share / (number + load * share)
    return share


def _interrupted(arrivals: Arrivals, seconds: float) -> float:
    """Return the share of gaps of an interrupted Poisson process with rate 1 that are longer."""
    rate = 1 / arrivals.burst_share
    ends = 1 / (arrivals.burst_size * arrivals.burst_share)
    begins = ends * arrivals.burst_share / (1 - arrivals.burst_share)
    total = rate + ends + begins
    root = math.sqrt(total**2 - 4 * rate * begins)
    fast, slow = (total + root) / 2, (total - root) / 2
    share = (rate - slow) / (fast - slow)
    return share * math.exp(-fast * seconds) + (1 - share) * math.exp(-slow * seconds)


def _day(day: tuple[float, ...], mean_gaps: float, requests: int, seed: int) -> Check:
    """Poisson arrivals at the hours' rates: a request at t is cold if none came in the keep-alive time before it."""
    rate = 0.05
    keep = mean_gaps / rate
    times = (np.arange(864_000) + 0.5) * DAY / 864_000
    weights = np.asarray(day) / np.mean(day)
    intensity = rate * weights[(times // 3600).astype(int)]
    before = np.cumsum(intensity) * DAY / len(times)
    earlier = np.interp(
        times - keep, np.concatenate((times - DAY, times)), np.concatenate((before - before[-1], before))
    )
    exact = float((intensity * np.exp(earlier - before)).sum() / intensity.sum())
    fleet = Fleet([0], [1e-9], KeepAlive(keep, keep), Start())
    simulated = _run(Arrivals(np.array([rate]), day=day), fleet, requests, seed).cold_share
    return Check(
        "Poisson with a day of two rates, keep-alive 3 mean gaps",
        "mean of exp(-∫λ)",
        exact,
        simulated,
        RELATIVE * exact,
    )


def _erlang(provisioned: int, load: float, requests: int, seed: int) -> Check:
    """Requests that find all provisioned environments busy: Erlang's loss formula, for every distribution of durations."""
    fleet = Fleet([0], [1000.0 * load], KeepAlive(0, 0), Start(), provisioned=provisioned)
    result = _run(Arrivals(np.array([1.0]), spread=1.0), fleet, requests, seed)
    exact = erlang_b(provisioned, load)
    name = f"{provisioned} provisioned environments, {load:g} requests at once on average, log-normal durations"
    return Check(name, "Erlang B", exact, float(1 - result.on_provisioned.sum() / requests), 2 * RELATIVE * exact)


def _run(arrivals: Arrivals, fleet: Fleet, requests: int, seed: int) -> Result:
    for chunk in arrivals.chunks(requests, seed):
        fleet.serve(chunk)
    return fleet.result()
