"""Exceptions. Each Terraform diagnostic is one line of the text, so that `pytest.raises(match=…)` finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .terraform import Diagnostic


class TerraformError(Exception):
    """A Terraform command failed. `diagnostics` are its errors and warnings, `reasons` the text of the errors."""

    def __init__(self, command: str, diagnostics: Sequence[Diagnostic], rest: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [str(d) for d in self.diagnostics if d.severity == "error"] or [
            " ".join(rest.split()) or "no error output"
        ]
        self.reasons = "\n".join(errors)
        super().__init__(f"terraform {command} failed\n{self.reasons}")


class PlanError(TerraformError):
    """A plan failed: a validation, a precondition, a provider error, or a variable that is not declared."""


class CommandTimeoutError(TerraformError):
    """A command exceeded its time limit and was interrupted; none of its processes is left."""

    def __init__(self, command: str, seconds: float, *, graceful: bool, rest: str = "") -> None:
        end = "it exited on SIGINT" if graceful else "it ignored SIGINT and was killed"
        super().__init__(command, (), f"timed out after {seconds:g} s; {end}. {rest}")


class IsolationError(Exception):
    """A root under test cannot be isolated from the state that it declares, so no command runs in it."""

    def __init__(self, root: Path, reason: str) -> None:
        super().__init__(f"{root} cannot be isolated from the real state: {reason}")


class BinaryError(Exception):
    """No usable Terraform or OpenTofu: the binary is missing, or older than the harness supports."""


class ScenarioError(Exception):
    """A scenario folder or an inventory is invalid: empty, missing its counterpart, or with an unknown section or name."""
