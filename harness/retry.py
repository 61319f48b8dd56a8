"""Which failures of Terraform are worth another attempt."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .errors import CommandTimeoutError, TerraformError

TRANSIENT_ERRORS: Mapping[str, str] = {
    "connection reset by peer|i/o timeout|TLS handshake timeout|request send failed": "the network failed for a moment",
    "transport is closing|timeout while waiting for plugin to start|timed out waiting for server handshake": (
        "a provider did not start in time"
    ),
    "Failed to query available provider packages|registry service is unreachable|unable to verify (checksum|signature)": (
        "the provider registry could not be reached"
    ),
    "Provider produced inconsistent result after apply": "the cloud is eventually consistent",
    "RequestLimitExceeded|ThrottlingException|TooManyRequestsException|Rate exceeded": "the cloud asked for fewer requests",
}
"""Error pattern → what it means: failures that go away by themselves, whatever is being tested."""

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """When to try a failed command again.

    - `errors`: regular expression → reason. It is searched in the text of the error, capitals and small letters alike.
    - `attempts`: how often a command runs at most.
    - `pause_seconds`: how long to wait before the next attempt.

    A command that was interrupted for its time limit is never tried again.
    """

    errors: Mapping[str, str] = field(default_factory=lambda: TRANSIENT_ERRORS)
    attempts: int = 3
    pause_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}: a command that never runs proves nothing")

    def reason(self, error: TerraformError) -> str | None:
        """Return why this error is worth another attempt; None when it is not."""
        return next(
            (why for pattern, why in self.errors.items() if re.search(pattern, str(error), re.IGNORECASE)), None
        )

    def run(
        self, command: Callable[[], T], *, whatever: str | None = None, told: Callable[[str], None] | None = None
    ) -> T:
        """Return what `command` returns in the end; its last TerraformError when no attempt is worth it, or left.

        `whatever` is the reason to try again after any other error too; `told` is given a line before each new attempt.
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
                    told(f"attempt {attempt} of {self.attempts}, since {reason}: {error}")
            time.sleep(self.pause_seconds)
        return command()
