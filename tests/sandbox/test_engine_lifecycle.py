"""The engine that the sandbox starts is removed completely. Tested in separate namespaces, apart from any other engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from sandbox.engine import CONTROL_GROUPS, CPU_WEIGHT, Engine
from sandbox.paths import ROOT

NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
# The engine's socket and runtime files are in /run. The shell stays as PID 1 to reap orphans.
PRIVATE = 'mount -t tmpfs tmpfs /run && ip link set lo up && "$0" -m tests.sandbox.engine_lifecycle "$1"; exit $?'


@pytest.fixture(scope="module")
def life(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "iptables", "ip", "unshare"))):
        pytest.skip("a separate engine needs root, dockerd, iptables, iproute2 and unshare")
    command = [*NAMESPACES, "sh", "-c", PRIVATE, sys.executable, str(tmp_path_factory.mktemp("engine"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


pytestmark = pytest.mark.engine


def test_engine_is_found_by_its_label(life: dict[str, Any]) -> None:
    assert life["home"].endswith("/engine")
    assert life["found_again"] is True
    assert life["during"]["bridge"] is True


def test_containers_have_more_cpu_than_one_process(life: dict[str, Any]) -> None:
    assert life["weights"].items() <= CPU_WEIGHT.items()
    # Version 2 has the setting only where the machine delegates the CPU; version 1 always.
    assert life["weights"] or not (CONTROL_GROUPS / "cpu/cgroup.procs").exists()


def test_stop_leaves_no_files_bridge_or_rules(life: dict[str, Any]) -> None:
    assert life["stopped"] is True
    assert life["left"] == []
    assert life["during"] != life["before"]
    assert life["after"] == life["before"]


def test_release_after_a_kill_leaves_nothing(life: dict[str, Any]) -> None:
    assert life["left_after_a_crash"] is False
    assert life["after_a_crash"] == life["before"]
