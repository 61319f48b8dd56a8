"""What can go wrong, as exceptions whose text is Terraform's own, on one line, so that `pytest.raises(match=…)` finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .terraform import Diagnostic


class TerraformError(Exception):
    """A Terraform command failed. `diagnostics` holds its errors and warnings as Terraform stated them; `reasons` is their text."""

    def __init__(self, command: str, diagnostics: Sequence[Diagnostic], rest: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [str(d) for d in self.diagnostics if d.severity == "error"] or [
            " ".join(rest.split()) or "no reason given"
        ]
        self.reasons = "\n".join(errors)
        super().__init__(f"terraform {command} failed\n{self.reasons}")


class PlanError(TerraformError):
    """A plan was refused: by a validation, a precondition, a provider, or because of a variable that is not declared."""


class CommandTimeoutError(TerraformError):
    """A command did not end in its time and was interrupted; none of its processes is left."""

    def __init__(self, command: str, seconds: float, *, graceful: bool, rest: str = "") -> None:
        end = "it ended when interrupted" if graceful else "it ignored the interrupt and was killed"
        super().__init__(command, (), f"not done within {seconds:g} s; {end}. {rest}")


class IsolationError(Exception):
    """A root under test cannot be kept apart from the state that it declares, so no command runs in it."""

    def __init__(self, root: Path, reason: str) -> None:
        super().__init__(f"the state of {root} cannot be kept apart from the real one: {reason}")


class BinaryError(Exception):
    """There is no usable Terraform or OpenTofu: it is missing, or older than the harness needs."""


class ScenarioError(Exception):
    """A scenario folder or an inventory is not as it should be: empty, without its twin, or with an unknown section."""
