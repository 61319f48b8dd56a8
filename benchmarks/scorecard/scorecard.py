"""A run of the scorecard: each metric's result is kept as soon as there is one, so that a failed or interrupted run can continue."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.scorecard.errors import ScorecardError, read_json
from benchmarks.scorecard.metrics import METRICS, Options, Result, Run
from benchmarks.scorecard.sides import SIDES, Say
from harness.errors import BinaryError, TerraformError
from sandbox.errors import SandboxError
from sandbox.paths import ROOT

SCHEMA = 1
# What a user can fix. Anything else is a fault of the program, and shows its traceback.
EXPECTED = (ScorecardError, SandboxError, TerraformError, BinaryError)


def measure(options: Options, names: Sequence[str], work: Path, say: Say, *, resume: bool = False) -> dict[str, Any]:
    """Measure the metrics, keep each in the work folder, and return all. A metric that failed has its reason instead."""
    options.check()
    facts = about()
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        run = Run(options, stack, say)
        for name in names:
            file = work / f"{name}.json"
            run.results[name] = (kept(file, facts["commit"], say) if resume else None) or _measured(run, name)
            stored = {"commit": facts["commit"], "result": run.results[name]}
            file.write_text(json.dumps(stored) + "\n", encoding="utf-8")
    return {"schema": SCHEMA} | facts | {"metrics": run.results}


def _measured(run: Run, name: str) -> Result:
    run.say(f"measuring {name}")
    begin = time.monotonic()
    try:
        result = METRICS[name](run)
    except EXPECTED as error:
        run.say(f"{name} failed: {error}")
        return {"failed": " ".join(str(error).split())}
    return result | {"seconds": time.monotonic() - begin}


def kept(file: Path, commit: str, say: Say) -> Result | None:
    """Return an earlier run's result, unless there is none, it failed, or it is of another commit."""
    if not file.exists():
        return None
    stored = read_json(file, "--resume")
    if stored["commit"] != commit:
        say(f"{file.stem} was measured at commit {stored['commit']}, and this is {commit}: measuring it again")
        return None
    result: Result = stored["result"]
    return None if "failed" in result else result


def about() -> dict[str, Any]:
    """Return the date, the commit, and the machine without its name."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    machine = {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    return {"date": datetime.now(UTC).date().isoformat(), "commit": commit or "unknown", "machine": machine}


def read(file: Path) -> dict[str, Any]:
    """Read a run's JSON.

    Raises:
        ScorecardError: it cannot be read, or is of another schema.
    """
    found = read_json(file, "results")
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise ScorecardError(f"{file} has schema {schema}, and this version reads {SCHEMA}: they are not comparable.")
    return dict(found)


def against(results: Mapping[str, Any], older: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ratio of each figure to an older run's. Figures that one of them lacks, or that were 0, are left out."""
    rows = []
    for metric, result in results["metrics"].items():
        earlier = {each["name"]: each for each in older["metrics"].get(metric, {}).get("rows", [])}
        for each in result.get("rows", []):
            before = earlier.get(each["name"], {})
            ratios = {side: each[side] / before[side] for side in SIDES if each[side] is not None and before.get(side)}
            if ratios:
                rows.append({"metric": metric, "name": each["name"], "kind": each["kind"]} | ratios)
    return rows
