"""Dollars a month of what was simulated. Prices are data: the module's prices.json, and prices.yaml for the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.scorecard.environments import Result
from benchmarks.scorecard.errors import ScorecardError
from sandbox.paths import MODULE, ROOT

MONTH_SECONDS = 730 * 3600
FILE = Path(__file__).parent / "prices.yaml"


@dataclass(frozen=True)
class Prices:
    """Dollars by name; a name's parts are separated by dots, as in `snap_start.restore_gb`."""

    table: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path = FILE) -> Prices:
        """Read prices.yaml (or another file of that form) and the module's prices.json, which must be of one region."""
        table = yaml.safe_load(file.read_text(encoding="utf-8"))
        module = json.loads((ROOT / MODULE / "prices.json").read_text(encoding="utf-8"))
        if table.get("region") != module["region"]:
            raise ScorecardError(
                f"{file.name} has prices of {table.get('region')}, and the module's prices.json of {module['region']}: "
                "a sum needs prices of one region."
            )
        return cls(table | {"lambda": module})

    def of(self, name: str) -> Any:
        """Return a price, or a list of tiers.

        Raises:
            ScorecardError: there is none.
        """
        found: Any = self.table
        for part in name.split("."):
            if not isinstance(found, Mapping) or found.get(part) is None:
                raise ScorecardError(
                    f"the price {name} is missing for {self.table['region']}, {self.table['date']}: add it to "
                    f"{FILE.name}, with its source (prices of Lambda are in the module's prices.json)."
                )
            found = found[part]
        return found


@dataclass(frozen=True)
class Deployment:
    """What is paid for besides requests.

    Attributes:
        memory_mb: memory of every function; of functions of several sizes, the mean by billed time.
        functions: number of functions.
        gateway: `http` or `rest`.
        architecture: `arm64` or `x86_64`.
        provisioned: environments of provisioned concurrency in total.
        snap_start_versions: published versions with SnapStart in total; each keeps a snapshot. 0 for no SnapStart.
        image_gb: size of container images in ECR; 0 for zip archives.
    """

    memory_mb: float
    functions: int = 1
    gateway: str = "http"
    architecture: str = "x86_64"
    provisioned: int = 0
    snap_start_versions: int = 0
    image_gb: float = 0.0


def monthly(result: Result, deployment: Deployment, prices: Prices, requests: float) -> dict[str, float]:
    """Return dollars a month by kind, and their total, for a month with a number of requests like the simulated ones."""
    simulated = int(result.requests.sum())
    times = requests / simulated
    gb = deployment.memory_mb / 1024
    of_gb_second = f"lambda.gb_second.{deployment.architecture}"
    dollars = {
        "gateway": tiered(prices.of(f"gateway.{deployment.gateway}"), requests),
        "requests": requests * prices.of("lambda.lambda_request"),
        "duration": times * result.billed_ms.sum() / 1000 * gb * prices.of(f"{of_gb_second}.on_demand"),
    }
    if deployment.provisioned:
        ready = deployment.provisioned * MONTH_SECONDS * prices.of(f"{of_gb_second}.provisioned")
        used = times * result.billed_provisioned_ms.sum() / 1000 * prices.of(f"{of_gb_second}.on_provisioned")
        dollars["provisioned"] = gb * (ready + used)
    if deployment.snap_start_versions:
        cached = deployment.snap_start_versions * MONTH_SECONDS * prices.of("snap_start.cache_gb_second")
        dollars["snap_start"] = gb * (cached + times * result.cold.sum() * prices.of("snap_start.restore_gb"))
    if deployment.image_gb:
        dollars["images"] = deployment.image_gb * prices.of("ecr.gb_month")
    return {kind: float(value) for kind, value in dollars.items()} | {"total": float(sum(dollars.values()))}


def tiered(tiers: list[dict[str, float]], requests: float) -> float:
    """Return the price of a month's requests, of which each tier takes those up to its limit."""
    dollars, taken = 0.0, 0.0
    for tier in tiers:
        limit = min(requests, tier.get("up_to", math.inf))
        dollars += max(limit - taken, 0) * tier["price"]
        taken = max(limit, taken)
    return dollars


def provisioned_break_even(prices: Prices, architecture: str) -> float:
    """Return the share of the time that a provisioned environment must be busy to cost no more than on-demand durations."""
    table = prices.of(f"lambda.gb_second.{architecture}")
    return float(table["provisioned"] / (table["on_demand"] - table["on_provisioned"]))
