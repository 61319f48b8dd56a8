"""Errors that a test injects into the next requests of an operation, to interrupt an apply."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.emulator_server.strict.requests import Call


@dataclass
class Injected:
    """An error for requests of an operation with `containing` in their path or body, such as a function's name.

    The first `after` matches pass, then `times` are refused, or all if None.
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
        """Count a matching request, and return whether to refuse it."""
        if not fnmatchcase(call.name, self.operation) or self.containing not in text:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.refused >= self.times):
            return False
        self.refused += 1
        return True
