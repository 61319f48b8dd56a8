"""The command as a package, installed with pip as docs/delivery.md says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox import paths


def test_installed_package_has_the_command(tmp_path: Path) -> None:
    shutil.copytree(paths.ROOT / "delivery", tmp_path / "delivery", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path / "installed"), str(tmp_path / "delivery")], check=True)
    command = [sys.executable, str(tmp_path / "installed/bin/delivery"), "rollout", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "--steps" in result.stdout
    assert (tmp_path / "installed/delivery/py.typed").exists()
