"""Errors with the exit code that the command ends with. Each message is one sentence for the user."""

from __future__ import annotations

import re

COLOURS_AND_FRAME = re.compile(r"\x1b\[[0-9;]*m|[│╷╵]")


def one_line(text: str) -> str:
    """Return a program's error as one line, without colours and the frame that Terraform draws."""
    return " ".join(COLOURS_AND_FRAME.sub(" ", text).split())


class DeliveryError(Exception):
    """A step failed: the rollout returns to the version that served before."""

    exit_code = 1


class UnknownError(DeliveryError):
    """Which version serves could not be determined, or could not be restored. The message says how to go on."""

    exit_code = 2


class RefusedError(DeliveryError):
    """The input or the environment is wrong. Nothing was changed."""

    exit_code = 3


class StoppedError(DeliveryError):
    """The user, or the runner, asked to stop."""
