"""The scopes that the service's operations require, from the OpenAPI document of its current source."""

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

    SandboxError, with the last line of the traceback, when the service cannot be imported.
    """
    # A separate process, so that it sees edits, and few commands pay the second that the import takes.
    command = [sys.executable, "-m", "sandbox.scopes"]
    environment = os.environ | {"TABLE_NAME": "none"}  # the document does not depend on it
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["nothing"])[-1]
        raise SandboxError(f"cannot import the service to read its scopes; nothing was deployed: {reason}")
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
