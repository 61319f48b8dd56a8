"""Write policies/interface.json, the inputs of each release for the policy pack, or check it.

    python -m tools.policy_interface [--check]

Its only source is releases/. With --check, exit code 1 means a stale file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.paths import ROOT
from tools import generated
from tools.release.records import records

PATH = "policies/interface.json"


def tree(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a release's inputs as a tree: {…} for an object, {"[list]": {…}} for a list of objects, null for the rest."""
    nested: dict[str, Any] = {}
    shapes = {path: _shape(str(entry["type"])) for path, entry in inputs.items()}
    for path, shape in sorted(shapes.items()):
        *parents, name = path.replace("[*]", ".[*]").split(".")
        parent = nested
        for part in parents:
            parent = next(iter(parent.values())) if part == "[*]" else parent[part]
        parent[name] = shape
    return nested


def _shape(type_: str) -> dict[str, Any] | None:
    if type_ == "object":
        return {}
    kind, _, element = type_.partition("(")
    shape = _shape(element.removesuffix(")")) if kind in {"list", "map", "set"} else None
    return None if shape is None else {f"[{kind}]": shape}


def render(project: Path = ROOT) -> str:
    """Return the file's text: a line for each release of the project."""
    lines = [f"  {json.dumps(one.version)}: {json.dumps(tree(one.interface['inputs']))}" for one in records(project)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(
        generated.main(
            ROOT / PATH, lambda _: render(), "Write the interfaces that the policy pack knows, or check them."
        )
    )
