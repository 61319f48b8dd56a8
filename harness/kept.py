"""What `--keep` leaves applied, where the next run of the same test finds it."""

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
    """A copy of the project in pytest's cache folder with an applied root in it, and the variables of the apply.

    The state must be local, as it is for roots under test.
    """

    home: Path
    path: str

    @classmethod
    def of(cls, config: pytest.Config, name: str, path: str) -> Kept:
        """Return the place of one root of one test; whether something is kept there is another question.

        LookupError without pytest's cache (`-p no:cacheprovider`): there is no place.
        """
        cache = getattr(config, "cache", None)
        if cache is None:
            raise LookupError("--keep and SKIP_… need pytest's cache, which -p no:cacheprovider turns off")
        readable = re.sub(r"\W+", "-", name)[-60:]
        folder = f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return cls(cache.mkdir("terraform-kept") / folder, path)

    @property
    def root(self) -> Path:
        """The folder of the root module."""
        return copied_root(self.home / "project", self.path)

    @property
    def exists(self) -> bool:
        """Whether an earlier run has left something applied here: its state is local."""
        return (self.root / STATE).exists()

    def take_up(self, made_at: Callable[[Path], Root]) -> Root:
        """Return the root as an earlier run has left it; LookupError when none has."""
        if not self.exists:
            raise LookupError(f"SKIP_APPLY is set, but nothing of {self.path} is kept: run the test once with --keep")
        return self._resumed(made_at(self.root))

    def renew(self, project: Path, made_at: Callable[[Path], Root]) -> Root:
        """Return the root with the project's files as they are now and the state as an earlier run has left it, if any."""
        following = self.home / "following"
        shutil.rmtree(following, ignore_errors=True)
        root = copied_root(copy_project(project, following), self.path)
        # At no moment is there no copy of the state.
        if self.exists:
            isolate(root, {})
            shutil.copy(self.root / STATE, root / STATE)
        shutil.rmtree(self.home / "project", ignore_errors=True)
        following.rename(self.home / "project")
        return self._resumed(made_at(self.root))

    def leave(self, root: Root) -> None:
        """Write down with which variables the root was applied."""
        if root.applied:
            variables, var_file = root.applied
            stated = {"variables": variables, "var_file": var_file and str(var_file)}
            self._variables.write_text(json.dumps(stated), encoding="utf-8")

    def forget(self) -> None:
        """Remove the copy: what it had applied is destroyed."""
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _variables(self) -> Path:
        return self.home / "applied.json"

    def _resumed(self, root: Root) -> Root:
        if self._variables.exists():
            stated = json.loads(self._variables.read_text(encoding="utf-8"))
            root.resume(stated["variables"], var_file=stated["var_file"] and Path(stated["var_file"]))
        return root
