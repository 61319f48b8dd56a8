"""What can go wrong, as exceptions whose text is Terraform's own, on one line, so that `pytest.raises(match=…)` finds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .terraform import Diagnostic


class TerraformError(Exception):
    """A Terraform command failed. `diagnostics` holds its errors and warnings as Terraform stated them."""

    def __init__(self, command: str, diagnostics: Sequence[Diagnostic], rest: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [str(d) for d in self.diagnostics if d.severity == "error"] or [
            " ".join(rest.split()) or "no reason given"
        ]
        super().__init__("\n".join([f"terraform {command} failed", *errors]))


class PlanError(TerraformError):
    """A plan was refused: by a validation, a precondition, a provider, or because of a variable that is not declared."""


class CommandTimeoutError(TerraformError):
    """A command did not end in its time and was interrupted; none of its processes is left."""

    def __init__(self, command: str, seconds: float, *, graceful: bool, rest: str = "") -> None:
        end = "it ended when interrupted" if graceful else "it ignored the interrupt and was killed"
        super().__init__(command, (), f"not done within {seconds:g} s; {end}. {rest}")


class ScenarioError(Exception):
    """A scenario folder or an inventory is not as it should be: empty, without its twin, or with an unknown section."""
