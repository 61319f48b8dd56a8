"""Logs of a generated function, whose parameters a proposal must recover. Not measured on Lambda."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

BEGIN = 1_790_000_000.0


@dataclass(frozen=True)
class Function:
    """A function's true parameters: Poisson arrivals, durations of a gamma distribution around the mean."""

    constant_ms: float = 20
    cpu_ms: float = 30
    per_second: float = 2
    used_mb: int = 140
    cold_share: float = 0.004
    init_ms: float = 400
    variation: float = 0.3

    def mean(self, memory_mb: int) -> float:
        """Return the true mean duration."""
        return self.constant_ms + self.cpu_ms * 1769 / min(memory_mb, 1769)

    def log(self, memory_mb: int, seconds: float, seed: int, begin: float = BEGIN) -> Iterator[str]:
        """Yield JSON lines, as Lambda writes them, of this many seconds at a memory size."""
        chance = random.Random(seed)  # noqa: S311 - samples, no secrets
        shape = 1 / self.variation**2
        time = begin
        while (time := time + chance.expovariate(self.per_second)) < begin + seconds:
            duration = chance.gammavariate(shape, self.mean(memory_mb) / shape)
            init = self.init_ms if chance.random() < self.cold_share else 0
            yield line(memory_mb, duration, self.used_mb, time + (duration + init) / 1000, init)


def line(memory_mb: int, duration: float, used_mb: int, ended: float, init: float = 0, status: str = "success") -> str:
    """Return a platform.report line."""
    metrics = {
        "durationMs": round(duration, 3),
        "billedDurationMs": int(duration + init) + 1,
        "memorySizeMB": memory_mb,
        "maxMemoryUsedMB": used_mb,
    }
    record = {
        "requestId": "8f507cfc",
        "metrics": metrics | ({"initDurationMs": init} if init else {}),
        "status": status,
    }
    time = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "type": "platform.report", "record": record})
