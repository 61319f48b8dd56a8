"""Run checkov with this pack and with checkov's own options, offline. Exit code 1: a finding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
CHECKOV = Path(sys.executable).with_name("checkov")


def main() -> int:
    command = [str(CHECKOV), *sys.argv[1:], "--external-checks-dir", str(PACK), "--skip-download"]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - checkov, beside this Python


if __name__ == "__main__":
    sys.exit(main())
