"""The engine that the sandbox starts by itself goes away without a trace; tried in namespaces, apart from any other engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from sandbox.engine import Engine
from sandbox.paths import ROOT

APART = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
# The engine's socket and its bookkeeping lie in /run. The shell stays, as the first process, to collect orphans.
PRIVATE = 'mount -t tmpfs tmpfs /run && ip link set lo up && "$0" -m tests.sandbox.engine_lifecycle "$1"; exit $?'


@pytest.fixture(scope="module")
def life(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", "iptables", "ip", "unshare"))):
        pytest.skip("an engine of one's own takes root, dockerd, iptables, iproute2 and unshare")
    command = [*APART, "sh", "-c", PRIVATE, sys.executable, str(tmp_path_factory.mktemp("engine"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


pytestmark = pytest.mark.engine


def test_it_is_known_by_its_label_and_found_again(life: dict[str, Any]) -> None:
    assert life["home"].endswith("/engine")
    assert life["found_again"] is True
    assert life["during"]["bridge"] is True


def test_when_it_stops_neither_files_nor_bridge_nor_rules_of_it_are_left(life: dict[str, Any]) -> None:
    assert life["stopped"] is True
    assert life["left"] == []
    assert life["during"] != life["before"]
    assert life["after"] == life["before"]


def test_after_it_was_killed_nothing_of_it_is_left_either(life: dict[str, Any]) -> None:
    assert life["left_after_a_crash"] is False
    assert life["after_a_crash"] == life["before"]
