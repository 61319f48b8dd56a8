"""Refusals that a test asks for: the next requests of an operation get an error of AWS's, as in an apply that is interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.emulator_server.strict.requests import Call


@dataclass
class Injected:
    """The error that requests of an operation get which have a text in their path or body: a function's name, for one.

    `after` such requests pass first, then `times` are refused; all of them where it is None.
    """

    operation: str
    containing: str = ""
    times: int | None = 1
    after: int = 0
    status: int = 403
    code: str = "AccessDeniedException"
    message: str = "refused by the test"
    seen: int = 0
    refused: int = 0

    def refuses(self, call: Call, text: str) -> bool:
        """Tell whether it is this request's turn, and count it."""
        if not fnmatchcase(call.name, self.operation) or self.containing not in text:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.refused >= self.times):
            return False
        self.refused += 1
        return True
