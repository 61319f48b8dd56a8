"""The scopes that the service's operations ask for, by its OpenAPI document as its source is now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.paths import ROOT


def declared(project: Path = ROOT) -> list[str]:
    """Return the scopes of a project's service.

    Raises SandboxError with the last line of Python's own words when the service cannot be imported.
    """
    # A process of its own: it sees an edit, and importing the service takes a second that few commands should take.
    command = [sys.executable, "-m", "sandbox.scopes"]
    environment = os.environ | {"TABLE_NAME": "none"}  # which no line of the document depends on
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["nothing"])[-1]
        raise SandboxError(
            f"the service, whose scopes are needed, cannot be imported, and nothing was deployed: {reason}"
        )
    scopes: list[str] = json.loads(result.stdout.splitlines()[-1])
    return scopes


def main() -> None:
    """Print the scopes as a line of JSON."""
    from service.app import create_app

    operations = [operation for path in create_app().openapi()["paths"].values() for operation in path.values()]
    required = [entry for operation in operations for entry in operation.get("security", [])]
    print(json.dumps(sorted({scope for entry in required for scopes in entry.values() for scope in scopes})))


if __name__ == "__main__":
    main()
