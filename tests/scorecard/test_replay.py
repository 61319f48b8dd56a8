"""The comparison with real containers, without them: `python -m benchmarks.scorecard replay` has them."""

from __future__ import annotations

import numpy as np

from benchmarks.scorecard import replay
from benchmarks.scorecard.arrivals import Chunk


def test_removals_that_follow_each_other_are_one_look() -> None:
    assert replay.looks([100.0, 102.1, 104.2, 136.0, 170.0, 170.1]) == [100.0, 136.0, 170.0]
    assert replay.looks([]) == []


def test_requests_are_simulated_as_they_were_sent() -> None:
    requests = Chunk(np.array([0.0, 10.0, 40.0]), np.array([0, 1, 0], np.int32), np.ones(3))
    spans = [(1000.0, 1002.0), (1010.0, 1010.1), (1040.0, 1040.1)]

    # The emulator looks at second 30, when everything is idle for more than 5 s.
    one = replay.compare("one", requests, spans, 2, [1030.0])
    separate = replay.compare("separate", requests, spans, 3 + replay.ACCEPTED + 1, [1030.0])

    assert (one["simulated"], one["measured"], one["holds"]) == (2, 2, True)
    assert (separate["simulated"], separate["holds"]) == (3, False)
