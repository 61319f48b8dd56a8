"""Writes that meet at one item wait for each other, as long as their requests may take."""

import pytest

from benchmarks.contention import OWNER, Conflicts, cancelled, create
from tests.service.domains import Clock, concurrently

CALLERS = 80


def test_80_creates_at_once_that_refer_to_one_item_are_all_done() -> None:
    client = Conflicts()
    assert concurrently(*[lambda: create(client, OWNER)] * CALLERS) == [True] * CALLERS
    assert client.refused > CALLERS


def test_waits_are_anything_up_to_a_limit_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def longest(low: float, high: float) -> float:
        assert low == 0
        limits.append(high)
        return high

    class Busy(Conflicts):
        def transact_write_items(self, **request: object) -> dict[str, object]:  # type: ignore[override]  # noqa: ARG002
            raise cancelled([True])

    Clock(monkeypatch)
    monkeypatch.setattr("service.kit.table.random.uniform", longest)
    assert not create(Busy(), OWNER)
    assert limits[:6] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5]
    assert set(limits[6:]) == {0.5}
    assert 7.5 <= sum(limits) <= 8.5
