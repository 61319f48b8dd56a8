"""State of its own for every root under test, whatever backend the root declares and whatever the shell has set.

Terraform merges override files last, and the last `backend` block wins over any `backend` or `cloud` block before it. So one
override file gives a root local state. What could take that back is refused before `terraform init`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from .errors import IsolationError

STATE = "terraform.tfstate"
"""Where a root under test has its state: in its own folder."""

LOCK = ".terraform.lock.hcl"
"""The file with which a root pins its providers."""

# "~" comes after every letter, and Terraform reads override files in the order of their names.
OVERRIDE = "~harness_override.tf"
# `path` is relative to the root, so that copies may share a data directory.
LOCAL_STATE = f"""# Written by the test harness: this copy must not reach the state that the root declares.
terraform {{
  backend "local" {{
    path = "{STATE}"
  }}
}}
"""

# Variables of the shell that would choose another state, other arguments or other inputs than the test states.
_CHOOSES_STATE = re.compile(r"TF_(WORKSPACE|DATA_DIR|CLI_ARGS\w*|CLOUD_\w+)")
_CHOOSES_INPUTS = re.compile(r"TF_VAR_\w+")
_READ_AS_CONFIGURATION = (".tf", ".tf.json", ".tofu", ".tofu.json")
# A third way to name a state, which the override of a backend may not replace in every version.
_STATE_STORE = re.compile(r'^\s*"?state_store"?\s*[":{]', re.MULTILINE)


def without_another_state(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a shell's environment without what would choose the state, the arguments or the inputs of a command."""
    return {
        name: value
        for name, value in environment.items()
        if not _CHOOSES_STATE.fullmatch(name) and not _CHOOSES_INPUTS.fullmatch(name)
    }


def isolate(root: Path, environment: Mapping[str, str]) -> None:
    """Give a root local state in its own folder, before `terraform init`.

    IsolationError, with nothing written, when the folder holds state of somebody else's, when another file would win over
    this one, or when `environment`, which the test itself sets, chooses another state.
    """
    if chosen := sorted(name for name in environment if name != "TF_DATA_DIR" and _CHOOSES_STATE.fullmatch(name)):
        raise IsolationError(root, f"the test's environment sets {', '.join(chosen)}: leave it out")
    if root.is_symlink():
        raise IsolationError(root, f"it is a link to {root.resolve()}, which is no copy")
    if not (root / OVERRIDE).exists():
        _refuse_the_state_of_others(root)
    _refuse_what_wins(root)
    (root / OVERRIDE).write_text(LOCAL_STATE, encoding="utf-8")


def assert_isolated(root: Path, data: Path) -> None:
    """Fail with IsolationError unless `terraform init` recorded the local state of `isolate` in its data directory."""
    recorded = data / STATE  # of the backend alone; Terraform uses one name for both
    backend = json.loads(recorded.read_text(encoding="utf-8")).get("backend", {}) if recorded.exists() else {}
    if backend.get("type") != "local" or backend.get("config", {}).get("path") != STATE:
        raise IsolationError(root, f"terraform init chose the backend {backend.get('type')!r} instead of local state")


def _refuse_the_state_of_others(root: Path) -> None:
    for trace in (*root.glob(f"{STATE}*"), *root.glob(f".{STATE}*"), root / ".terraform" / STATE):
        if trace.exists() or trace.is_symlink():
            found = trace.relative_to(root)
            raise IsolationError(
                root, f"it holds {found}, which no test made: test a copy (terraform_root, copy_project)"
            )


def _refuse_what_wins(root: Path) -> None:
    for path in root.iterdir():
        ending = next((e for e in _READ_AS_CONFIGURATION if path.name.endswith(e)), None)
        if ending is None:
            continue
        name = path.name.removesuffix(ending)
        if path.name != OVERRIDE and (name == "override" or name.endswith("_override")) and path.name > OVERRIDE:
            raise IsolationError(root, f"Terraform reads {path.name} after {OVERRIDE}: rename it")
        if _STATE_STORE.search(path.read_text(encoding="utf-8", errors="replace")):
            raise IsolationError(root, f"{path.name} declares a state_store, which no override replaces: leave it out")
