"""Conflicting writes to one item are retried until the deadline of the request."""

import pytest

from benchmarks.contention import OWNER, Conflicts, cancelled, create
from tests.service.domains import Clock, concurrently

CALLERS = 80


def test_80_concurrent_creates_with_one_reference_all_succeed() -> None:
    client = Conflicts()
    assert concurrently(*[lambda: create(client, OWNER)] * CALLERS) == [True] * CALLERS
    assert client.refused > CALLERS


def test_retries_use_full_jitter_and_exponential_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def upper_limit(low: float, high: float) -> float:
        assert low == 0
        limits.append(high)
        return high

    class Busy(Conflicts):
        def transact_write_items(self, **request: object) -> dict[str, object]:  # type: ignore[override]  # noqa: ARG002
            raise cancelled([True])

    Clock(monkeypatch)
    monkeypatch.setattr("service.kit.table.random.uniform", upper_limit)
    assert not create(Busy(), OWNER)
    assert limits[:6] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5]
    assert set(limits[6:]) == {0.5}
    assert 7.5 <= sum(limits) <= 8.5
