"""A run with a request that violates AWS's model fails, even if the client and the test ignore the error."""

from __future__ import annotations

import subprocess
import sys

from sandbox.paths import ROOT


def test_unexpected_violation_fails_the_run_and_is_reported() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/sandbox/strict_run.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    assert "lambda.GetAlias: Name is '42', must match" in done.stdout
    assert "1 operations of 1 services checked against their models" in done.stdout
