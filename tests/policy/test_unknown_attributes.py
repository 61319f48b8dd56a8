"""Interfaces of modules, as the pack reads them from variables.tf and from interface.json."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from sandbox.paths import ROOT
from tests.policy.conftest import PACK
from tools.policy_interface import PATH, render, tree
from tools.release.interface import snapshot
from tools.release.records import MODULE

PROGRAM = """
import json, sys
from pathlib import Path
from lca_interface import Collection, read_module, unknown_attributes
def data(tree):
    if isinstance(tree, Collection):
        return {f"[{tree.kind}]": data(tree.element)}
    return tree if tree is None else {name: data(inner) for name, inner in tree.items()}
module = read_module(Path(sys.argv[1]))
calls = json.loads(sys.argv[2])
json.dump([data(module), [unknown_attributes(module, call) for call in calls]], sys.stdout)
"""
CALLS: list[tuple[dict[str, Any], list[str]]] = [
    ({"function": [{"memory": 1024}]}, ["function.memory is unknown: memory_mb?"]),
    ({"function": [{"timeout": 5, "tracng": True}]}, [
        "function.timeout is unknown: timeout_seconds?",
        "function.tracng is unknown: tracing?",
    ]),
    ({"routes": [{"GET /users": {"authh": {}}}]}, ['routes["GET /users"].authh is unknown: auth?']),
    ({"image": [{"build": {"contxt": "app"}}]}, ["image.build.contxt is unknown: context?"]),
    ({"permissions": [{"statements": [{"sid": "A"}, {"effect": "Deny"}]}]}, [
        "permissions.statements[1].effect is unknown: known are actions, conditions, resources, sid",
    ]),
    ({"auth": [{"iam": {"role": "x"}}]}, ["auth.iam.role is unknown: it has no attributes"]),
    ({"function": ["${merge(var.a, {memory = 1})}"], "routes": ["${{for k in var.a : k :> {'authh': k}}}"]}, []),
    ({"function": [{"var.key": 1, "__start_line__": 3}], "nme": ["x"], "tags": [{"any": "tag"}]}, []),
]  # fmt: skip


@pytest.fixture(scope="module")
def read() -> Any:
    """The module's interface and the sentences on CALLS, by the pack."""
    calls = json.dumps([call for call, _ in CALLS])
    command = [sys.executable, "-c", PROGRAM, str(ROOT / MODULE), calls]
    return json.loads(subprocess.run(command, cwd=PACK, capture_output=True, text=True, check=True).stdout)


def test_pack_reads_the_same_interface_as_the_release_check(read: Any) -> None:
    assert read[0] == tree(snapshot(ROOT / MODULE)["inputs"])


def test_shipped_interfaces_are_those_of_the_releases() -> None:
    assert (ROOT / PATH).read_text() == render(), "run `make docs`"


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_unknown_attribute_is_named_with_the_nearest(number: int, read: Any) -> None:
    assert read[1][number] == CALLS[number][1]
