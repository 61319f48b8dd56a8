"""The scorecard's simulation on small numbers of requests, with fixed seeds."""

from __future__ import annotations

import pytest

from benchmarks.scorecard.cost import Prices
from benchmarks.scorecard.model import Parameters


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    return Parameters.read()


@pytest.fixture(scope="session")
def prices() -> Prices:
    return Prices.read()
