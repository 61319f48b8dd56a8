"""Which Terraform failures are retried."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .errors import CommandTimeoutError, TerraformError

TRANSIENT_ERRORS: Mapping[str, str] = {
    "connection reset by peer|i/o timeout|TLS handshake timeout|request send failed": "transient network error",
    "transport is closing|timeout while waiting for plugin to start|timed out waiting for server handshake": (
        "provider start timed out"
    ),
    "Failed to query available provider packages|registry service is unreachable|unable to verify (checksum|signature)": (
        "provider registry unreachable"
    ),
    "Provider produced inconsistent result after apply": "eventual consistency",
    "RequestLimitExceeded|ThrottlingException|TooManyRequestsException|Rate exceeded": "throttled",
}
"""Error pattern → reason to retry: failures that are not the test's fault and go away by themselves."""

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """When to retry a failed command.

    - `errors`: regular expression → reason. It is searched in the error's text, ignoring case.
    - `attempts`: the most times that a command runs.
    - `pause_seconds`: wait before the next attempt.

    A command that exceeded its time limit is never retried.
    """

    errors: Mapping[str, str] = field(default_factory=lambda: TRANSIENT_ERRORS)
    attempts: int = 3
    pause_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}, must be at least 1")

    def reason(self, error: TerraformError) -> str | None:
        """Return the reason to retry after this error; None when there is none."""
        return next(
            (why for pattern, why in self.errors.items() if re.search(pattern, str(error), re.IGNORECASE)), None
        )

    def run(
        self, command: Callable[[], T], *, whatever: str | None = None, told: Callable[[str], None] | None = None
    ) -> T:
        """Run `command` with retries and return its result. Raises the last TerraformError when it is not to be retried.

        `whatever` is a reason to retry after every other error too. `told` is called with a line before each retry.
        """
        for attempt in range(2, self.attempts + 1):
            try:
                return command()
            except CommandTimeoutError:
                raise
            except TerraformError as error:
                reason = self.reason(error) or whatever
                if reason is None:
                    raise
                if told:
                    told(f"retry ({reason}), attempt {attempt} of {self.attempts}: {error}")
            time.sleep(self.pause_seconds)
        return command()
