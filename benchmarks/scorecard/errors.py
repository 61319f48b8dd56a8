"""The errors that users of the scorecard can fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class ScorecardError(Exception):
    """An input is missing or wrong; the message names it."""


def read_json(file: Path, what: str) -> Any:
    """Read a JSON file.

    Raises:
        ScorecardError: it cannot be read; `what` says whose it is.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScorecardError(f"{what}: {file} cannot be read as JSON: {error}.") from error
