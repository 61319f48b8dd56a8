from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.scorecard.arrivals import DAY, Arrivals, Chunk, zipf
from benchmarks.scorecard.errors import ScorecardError


def generated(arrivals: Arrivals, requests: int, **options: Any) -> Chunk:
    chunks = list(arrivals.chunks(requests, 3, **options))
    parts = ("times", "endpoints", "factors")
    return Chunk(*(np.concatenate([getattr(chunk, part) for chunk in chunks]) for part in parts))


@pytest.mark.parametrize("process", ["poisson", "gamma", "bursts"])
def test_times_ascend_and_each_endpoint_has_its_rate(process: str) -> None:
    rates = np.array([4.0, 2.0, 1.0])
    requests = generated(Arrivals(rates, process=process, cv=2.0, burst_size=5, burst_share=0.2), 200_000)

    assert (np.diff(requests.times) >= 0).all()
    assert np.bincount(requests.endpoints) / requests.times[-1] == pytest.approx(rates, rel=0.03)


def test_chunk_size_does_not_change_the_requests() -> None:
    arrivals = Arrivals(zipf(20, 1.0), process="bursts", day=(0.5,) * 12 + (1.5,) * 12, spread=0.5)

    whole, parts = generated(arrivals, 10_000), generated(arrivals, 10_000, size=999)

    assert (whole.times == parts.times).all()
    assert (whole.endpoints == parts.endpoints).all()
    assert (whole.factors == parts.factors).all()


@pytest.mark.parametrize(("process", "options", "cv"), [("gamma", {"cv": 3.0}, 3.0), ("bursts", {}, 6.09)])
def test_times_between_requests_vary_as_documented(process: str, options: dict[str, float], cv: float) -> None:
    gaps = np.diff(generated(Arrivals(np.array([1.0]), process=process, **options), 400_000).times)  # type: ignore[arg-type]

    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_hours_have_their_weights() -> None:
    day = tuple(float(hour + 1) for hour in range(24))
    times = generated(Arrivals(np.array([0.5]), day=day), 10 * 43_200).times
    whole = times[times < (times[-1] // DAY) * DAY]

    counts = np.bincount((whole % DAY // 3600).astype(int))

    assert counts / counts.sum() == pytest.approx(np.array(day) / sum(day), rel=0.1)


def test_duration_factors_have_mean_one() -> None:
    assert generated(Arrivals(np.array([1.0]), spread=0.6), 200_000).factors.mean() == pytest.approx(1, rel=0.01)


def test_popularity_follows_zipf() -> None:
    shares = zipf(4, 1.0)

    assert shares.sum() == pytest.approx(1)
    assert shares[0] / shares == pytest.approx([1, 2, 3, 4])
    assert zipf(4, 0.0) == pytest.approx([0.25] * 4)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"rates": np.array([1.0, 0.0])}, "rates must be above 0"),
        ({"rates": np.array([])}, "for one endpoint or more"),
        ({"process": "weibull"}, "process is one of poisson, gamma, bursts, not weibull"),
        ({"burst_share": 1.0}, "burst_share between 0 and 1"),
        ({"day": (1.0,) * 23}, "24 weights"),
    ],
)
def test_impossible_arrivals_are_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScorecardError, match=message):
        Arrivals(**({"rates": np.array([1.0])} | attributes))
