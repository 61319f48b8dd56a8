"""A run in which a request breaks AWS's model fails, even if the client and the test went on."""

from __future__ import annotations

import subprocess
import sys

from sandbox.paths import ROOT


def test_a_violation_that_no_test_expected_fails_the_run_and_is_named() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/sandbox/strict_run.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    assert "lambda.GetAlias: Name is '42', and has to match" in done.stdout
    assert "1 operations of 1 services held to their models" in done.stdout
