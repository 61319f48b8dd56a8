"""Applied roots that `--keep` saves for the next run of the same test."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .isolation import STATE, isolate
from .root import Root, copied_root, copy_project


@dataclass(frozen=True)
class Kept:
    """A copy of the project in pytest's cache with an applied root, and the variables of the apply.

    State is local, as in every root under test.
    """

    home: Path
    path: str

    @classmethod
    def of(cls, config: pytest.Config, name: str, path: str) -> Kept:
        """Return the location for one root of one test, which may be empty: see `exists`.

        LookupError without pytest's cache (`-p no:cacheprovider`).
        """
        cache = getattr(config, "cache", None)
        if cache is None:
            raise LookupError("--keep and SKIP_… need pytest's cache, which -p no:cacheprovider turns off")
        readable = re.sub(r"\W+", "-", name)[-60:]
        folder = f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return cls(cache.mkdir("terraform-kept") / folder, path)

    @property
    def root(self) -> Path:
        return copied_root(self.home / "project", self.path)

    @property
    def exists(self) -> bool:
        """Whether an earlier run left applied state here."""
        return (self.root / STATE).exists()

    def load(self, root_at: Callable[[Path], Root]) -> Root:
        """Return the root unchanged from an earlier run; LookupError when there is none."""
        if not self.exists:
            raise LookupError(f"SKIP_APPLY is set, but {self.path} has not been kept: run the test once with --keep")
        return self._resumed(root_at(self.root))

    def refresh(self, project: Path, root_at: Callable[[Path], Root]) -> Root:
        """Return the root with the project's current files and the state of an earlier run, if any."""
        incoming = self.home / "incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        root = copied_root(copy_project(project, incoming), self.path)
        # The state is copied before the old folder is removed, so that an interruption cannot lose it.
        if self.exists:
            isolate(root, {})
            shutil.copy(self.root / STATE, root / STATE)
        shutil.rmtree(self.home / "project", ignore_errors=True)
        incoming.rename(self.home / "project")
        return self._resumed(root_at(self.root))

    def save(self, root: Root) -> None:
        """Save the variables of the apply."""
        if root.applied:
            variables, var_file = root.applied
            saved = {"variables": variables, "var_file": var_file and str(var_file)}
            self._variables.write_text(json.dumps(saved), encoding="utf-8")

    def remove(self) -> None:
        """Remove the copy. Call it once its resources are destroyed."""
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _variables(self) -> Path:
        return self.home / "applied.json"

    def _resumed(self, root: Root) -> Root:
        if self._variables.exists():
            saved = json.loads(self._variables.read_text(encoding="utf-8"))
            root.resume(saved["variables"], var_file=saved["var_file"] and Path(saved["var_file"]))
        return root
