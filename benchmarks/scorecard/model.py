"""The two architectures, from parameters.yaml: one function for all endpoints, or one function for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.scorecard.arrivals import Arrivals, Chunk, Floats, zipf
from benchmarks.scorecard.cost import MONTH_SECONDS, Deployment, Prices, monthly
from benchmarks.scorecard.environments import Fleet, KeepAlive, Result, Start
from tuning.model import slowness

FILE = Path(__file__).parent / "parameters.yaml"
QUANTILES = (0.5, 0.95, 0.99, 0.999)
Progress = Callable[[int], None]


def silent(_requests: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Parameters:
    """parameters.yaml: values with their sources."""

    table: dict[str, Any]

    @classmethod
    def read(cls) -> Parameters:
        """Read the file."""
        return cls(yaml.safe_load(FILE.read_text(encoding="utf-8")))

    def keep_alive(self, name: str = "typical") -> KeepAlive:
        """Return a published keep-alive time."""
        return KeepAlive(self.table["keep_alive"][name]["low"], self.table["keep_alive"][name]["high"])

    def start(self, packaging: str, imports_ms: float) -> Start:
        """Return the start of a `zip` archive, a `container` or from a snapshot (`snap_start`), which has the imports already."""
        row = self.table["start"][packaging]
        snapshot = packaging == "snap_start"
        return Start(row["median_ms"], row["p90_ms"], 0.0 if snapshot else imports_ms, billed=not snapshot)

    def value(self, section: str, name: str) -> float:
        """Return a single value."""
        return float(self.table[section][name]["value"])


@dataclass(frozen=True)
class Design:
    """How endpoints are deployed.

    Attributes:
        one: one function for all endpoints, with FastAPI in a container; or one zip archive for each endpoint.
        memory_mb: None for the default of the design.
        provisioned: environments of provisioned concurrency of each function.
        snap_start_versions: published versions of each function with SnapStart; 0 for none.
        imports_ms: time of the code's imports; None for the default of the design.
    """

    one: bool
    memory_mb: int | None = None
    provisioned: int = 0
    snap_start_versions: int = 0
    imports_ms: float | None = None
    keep_alive: str | KeepAlive = "typical"
    reuse: str = "newest"

    def memory(self, parameters: Parameters) -> int:
        """Return the memory of each function."""
        return self.memory_mb or int(parameters.value("memory_mb", "one" if self.one else "legacy"))

    def start(self, parameters: Parameters) -> Start:
        """Return how long new environments take."""
        default = parameters.table["start"]["imports_one_ms" if self.one else "imports_legacy_ms"]["value"]
        imports = default if self.imports_ms is None else self.imports_ms
        packaging = "snap_start" if self.snap_start_versions else ("container" if self.one else "zip")
        return parameters.start(packaging, imports)

    def warm_ms(self, parameters: Parameters) -> float:
        """Return the mean duration of a warm request: waiting, and CPU in proportion to memory."""
        cpu = parameters.value("duration", "cpu_ms")
        cpu += parameters.value("duration", "framework_cpu_ms") if self.one else 0.0
        return parameters.value("duration", "wait_ms") + cpu * slowness(self.memory(parameters))

    def fleet(self, endpoints: int, parameters: Parameters, mean_ms: Sequence[float] | None = None) -> Fleet:
        """Return its functions, without environments. `mean_ms` replaces the mean durations."""
        keep = parameters.keep_alive(self.keep_alive) if isinstance(self.keep_alive, str) else self.keep_alive
        function_of = np.zeros(endpoints, np.int32) if self.one else np.arange(endpoints, dtype=np.int32)
        durations = [self.warm_ms(parameters)] * endpoints if mean_ms is None else mean_ms
        start = self.start(parameters)
        return Fleet(function_of, durations, keep, start, provisioned=self.provisioned, reuse=self.reuse)

    def deployment(self, endpoints: int, parameters: Parameters, gateway: str = "http") -> Deployment:
        """Return what is paid for."""
        functions = 1 if self.one else endpoints
        images = float(parameters.table["image_gb"]["value"]) if self.one else 0.0
        provisioned, versions = self.provisioned * functions, self.snap_start_versions * functions
        return Deployment(
            self.memory(parameters),
            functions,
            gateway,
            provisioned=provisioned,
            snap_start_versions=versions,
            image_gb=images,
        )


def rates(endpoints: int, per_month: float, exponent: float) -> Floats:
    """Return requests per second of each endpoint."""
    return zipf(endpoints, exponent) * per_month / MONTH_SECONDS


def traffic(parameters: Parameters, endpoints: int, per_month: float, **changes: Any) -> Arrivals:
    """Return the arrivals that parameters.yaml describes, with changes: `exponent`, or attributes of Arrivals."""
    exponent = changes.pop("exponent", parameters.table["popularity"]["exponent"])
    if changes.get("process") == "bursts":
        bursts = parameters.table["bursts"]
        changes = {"burst_size": bursts["burst_size"], "burst_share": bursts["burst_share"]} | changes
    defaults: dict[str, Any] = {
        "day": tuple(parameters.table["day"]["weights"]),
        "spread": parameters.value("duration", "spread"),
    }
    return Arrivals(rates(endpoints, per_month, exponent), **(defaults | changes))


def serve(chunks: Iterable[Chunk], fleets: Sequence[Fleet], progress: Progress = silent) -> list[Result]:
    """Send the same requests to several fleets."""
    for chunk in chunks:
        for fleet in fleets:
            fleet.serve(chunk)
        progress(len(chunk.times))
    return [fleet.result() for fleet in fleets]


def summary(result: Result, dollars: dict[str, float] | None = None) -> dict[str, Any]:
    """Return a result as data: shares, milliseconds, dollars a month."""
    return {
        "cold_share": result.cold_share,
        "waited_ms": result.waited_ms,
        "latency_ms": {f"p{100 * share:g}": result.all.quantile(share) for share in QUANTILES},
        "warm_latency_ms": {f"p{100 * share:g}": result.warm.quantile(share) for share in QUANTILES},
        "provisioned_share": float(result.on_provisioned.sum() / result.requests.sum()),
        "peak_environments": int(result.peak.sum()),
    } | ({"dollars": dollars} if dollars else {})


def compare(
    designs: Sequence[Design],
    arrivals: Arrivals,
    requests: int,
    per_month: float,
    parameters: Parameters,
    prices: Prices,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """Send the same requests to several designs, and return each one's summary."""
    endpoints = len(arrivals.rates)
    fleets = [design.fleet(endpoints, parameters) for design in designs]
    results = serve(arrivals.chunks(requests, seed), fleets)
    deployments = [design.deployment(endpoints, parameters) for design in designs]
    return [
        summary(result, monthly(result, deployment, prices, per_month))
        for result, deployment in zip(results, deployments, strict=True)
    ]
