"""Start, find, kill and stop the sandbox's engine. Run in separate namespaces, apart from any other engine.

test_engine_lifecycle.py runs it with a folder as argument; it prints its observations as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from sandbox import engine, packages
from sandbox.progress import Step


def network() -> dict[str, object]:
    """Return the parts of the network configuration that an engine changes."""
    tables = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    bridge = subprocess.run(["ip", "link", "show", "docker0"], capture_output=True, check=False)
    return {
        "rules": [line for line in tables if line.startswith("-A")],
        "chains": [line.partition(" [")[0] for line in tables if line.startswith(":FORWARD") or " - " in line],
        "bridge": bridge.returncode == 0,
        "forwarding": engine.FORWARDING.read_text(),
    }


def main(folder: Path) -> dict[str, object]:
    """Return the observations before, during and after."""
    engine.HOME = folder / "engine"
    packages.install = lambda *_: None  # no apt in tests
    # Forwarding is off, which an engine changes, and there is a rule, which it must keep.
    engine.FORWARDING.write_text("0\n")
    subprocess.run(["iptables", "-A", "FORWARD", "-s", "192.0.2.1", "-j", "DROP"], check=True)
    before = network()
    first = engine.ensure(folder / "sandbox", Step("Docker engine"))
    again = engine.ensure(folder / "sandbox", Step("Docker engine"))
    during = network()
    settings = {name: engine.CONTROL_GROUPS / name for name in engine.CPU_WEIGHT}
    weights = {name: setting.read_text().strip() for name, setting in settings.items() if setting.exists()}
    stopped = engine.release(folder / "sandbox")
    after = network()
    left = [str(path) for path in (engine.HOME, Path("/run/docker"), Path("/run/docker.sock")) if path.exists()]

    engine.ensure(folder / "sandbox", Step("Docker engine"))
    pid = int((engine.HOME / "dockerd.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    engine.release(folder / "sandbox")
    return {
        "home": str(first.home),
        "found_again": first == again,
        "before": before,
        "during": during,
        "weights": weights,
        "after": after,
        "stopped": stopped,
        "left": left,
        "after_a_crash": network(),
        "left_after_a_crash": engine.HOME.exists(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
