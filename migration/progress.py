"""Progress on standard error, for commands that run for minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress

SECONDS = 5.0
"""The least time between two lines."""


class Progress:
    """Prints a line now and then, unless it is quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._next = time.monotonic() + SECONDS

    def say(self, text: Callable[[], str]) -> None:
        """Print what `text` returns, if it is time for a line."""
        if self._quiet or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SECONDS
        with suppress(OSError):
            print(text(), file=sys.stderr, flush=True)
