"""Local state for every root under test, whatever backend it declares and whatever the shell sets.

Terraform merges override files last, and the last `backend` block wins over earlier `backend` and `cloud` blocks. So one
override file is enough. Anything that could undo it is an error before `terraform init`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from .errors import IsolationError

STATE = "terraform.tfstate"
"""State file of a root under test, in its own folder."""

LOCK = ".terraform.lock.hcl"
"""Pins a root's providers."""

# "~" sorts after every letter, and Terraform reads override files in name order.
OVERRIDE = "~harness_override.tf"
# `path` is relative to the root, so that copies may share a data directory.
LOCAL_STATE = f"""# Written by the test harness: this copy must not reach the state that the root declares.
terraform {{
  backend "local" {{
    path = "{STATE}"
  }}
}}
"""

# Shell variables that select another state, or add arguments or inputs that are not the test's.
_SELECTS_STATE = re.compile(r"TF_(WORKSPACE|DATA_DIR|CLI_ARGS\w*|CLOUD_\w+)")
_SETS_INPUT = re.compile(r"TF_VAR_\w+")
_CONFIGURATION_SUFFIXES = (".tf", ".tf.json", ".tofu", ".tofu.json")
# A third way to configure state, which not every version lets a `backend` override replace.
_STATE_STORE = re.compile(r'^\s*"?state_store"?\s*[":{]', re.MULTILINE)


def without_state_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without variables that set a command's state, arguments or inputs."""
    return {
        name: value
        for name, value in environment.items()
        if not _SELECTS_STATE.fullmatch(name) and not _SETS_INPUT.fullmatch(name)
    }


def isolate(root: Path, environment: Mapping[str, str]) -> None:
    """Give a root local state in its own folder. Call it before `terraform init`.

    IsolationError, with nothing written, when the folder already has state, when another file would override this one, or
    when `environment`, which the test itself sets, selects another state.
    """
    if forbidden := sorted(name for name in environment if name != "TF_DATA_DIR" and _SELECTS_STATE.fullmatch(name)):
        raise IsolationError(root, f"the test's environment sets {', '.join(forbidden)}: remove it")
    if root.is_symlink():
        raise IsolationError(root, f"it is a symlink to {root.resolve()}, which is not a copy")
    if not (root / OVERRIDE).exists():
        _refuse_existing_state(root)
    _refuse_overriding_files(root)
    (root / OVERRIDE).write_text(LOCAL_STATE, encoding="utf-8")


def assert_isolated(root: Path, data: Path) -> None:
    """Raise IsolationError unless `terraform init` recorded `isolate`'s local backend in its data directory."""
    recorded = data / STATE  # holds only the backend; Terraform uses the same name for both files
    backend = json.loads(recorded.read_text(encoding="utf-8")).get("backend", {}) if recorded.exists() else {}
    if backend.get("type") != "local" or backend.get("config", {}).get("path") != STATE:
        raise IsolationError(
            root, f"terraform init configured the backend {backend.get('type')!r} instead of local state"
        )


def _refuse_existing_state(root: Path) -> None:
    for path in (*root.glob(f"{STATE}*"), *root.glob(f".{STATE}*"), root / ".terraform" / STATE):
        if path.exists() or path.is_symlink():
            name = path.relative_to(root)
            raise IsolationError(
                root, f"it contains {name}, which no test created: test a copy (terraform_root, copy_project)"
            )


def _refuse_overriding_files(root: Path) -> None:
    for path in root.iterdir():
        suffix = next((s for s in _CONFIGURATION_SUFFIXES if path.name.endswith(s)), None)
        if suffix is None:
            continue
        name = path.name.removesuffix(suffix)
        if path.name != OVERRIDE and (name == "override" or name.endswith("_override")) and path.name > OVERRIDE:
            raise IsolationError(root, f"Terraform reads {path.name} after {OVERRIDE}: rename it")
        if _STATE_STORE.search(path.read_text(encoding="utf-8", errors="replace")):
            raise IsolationError(
                root, f"{path.name} declares a state_store, which an override cannot replace: remove it"
            )
