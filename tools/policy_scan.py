"""Scan the shipped sources and the plan of every example with the policy pack's gate.

    python -m tools.policy_scan

The examples are planned against a separate emulator. Exit codes are the gate's: 0 clean, 1 findings, 2 scan failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import InitCache, Root, TerraformError, copy_project
from sandbox import emulator, overrides, providers
from sandbox.errors import SandboxError
from sandbox.paths import EXAMPLE_SOURCES, ROOT, environment, examples

PROJECT = ROOT
PYTHON = environment("policy") / "python"
CHECKOV = PYTHON.with_name("checkov")
GATE = PROJECT / "policies" / "gate"
REGISTER = PROJECT / "policy-skips.yaml"
REPORTS = PROJECT / ".reports" / "policy"
# Without tests and LEGACY, which are bad on purpose: the estate shows what teams migrate from, and nobody should copy it.
SHIPPED = [name for name in EXAMPLE_SOURCES if name != "examples"]
SHIPPED += [*(f"examples/{name}" for name in examples()), ".github", "Makefile", "harness", "sandbox"]


def plans(folder: Path) -> dict[str, Path]:
    """Plan every example, and return the JSON plan files by root."""
    home = folder / "emulator"
    aws = emulator.start(home, emulator.free_port())
    try:
        variables = aws.environment() | providers.configure(home).environment()
        copy = copy_project(PROJECT, folder / "planned", EXAMPLE_SOURCES)
        cache = InitCache(folder / "init")

        def plan(root: str) -> Path:
            example = Root(copy / root, environment=variables)
            example.write(overrides.NAME, overrides.planned(example.path))
            example.init(cache)
            file = folder / f"{Path(root).name}.json"
            file.write_text(json.dumps(example.plan().raw), encoding="utf-8")
            return file

        roots = [f"examples/{name}" for name in examples()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(roots, pool.map(plan, roots), strict=True))
    finally:
        emulator.stop(home)


def scan(
    planned: Mapping[str, Path], only: Sequence[str] = SHIPPED, register: str = "--register", reports: Path = REPORTS
) -> subprocess.CompletedProcess[str]:
    """Scan sources and plans, by root. `register` is the option for this project's register; the result has the gate's output."""
    command = [str(PYTHON), str(GATE), str(PROJECT), "--only", *only, register, str(REGISTER)]
    command += ["--reports", str(reports)]
    command += [part for root, file in planned.items() for part in ("--plan", f"{root}={file}")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> int:
    """Plan and scan; return the gate's exit code."""
    with tempfile.TemporaryDirectory(prefix="policy-scan-") as folder:
        try:
            planned = plans(Path(folder))
        except (SandboxError, TerraformError) as error:
            sys.stderr.write(f"scan failed: cannot plan an example: {error}\n")
            return 2
        result = scan(planned)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
