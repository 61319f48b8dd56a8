"""Schemathesis's own command against a running service: every check, and as good as the same cases each time."""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import schemathesis

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "openapi.json"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Make each valid idempotency key unique, since reusing a key with another body is an error."""
    key = case.headers.get("idempotency-key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,200}", key):
        case.headers["idempotency-key"] = key + uuid.uuid4().hex


def lists() -> list[str]:
    """Return the paths of the document that list resources to a known caller."""
    paths = json.loads(DOCUMENT.read_text())["paths"]
    return [path for path, operations in paths.items() if "{" not in path and operations.get("get", {}).get("security")]


def check(url: str, token: str, headers: dict[str, str] | None = None, examples: int = 20) -> str:
    """Send what the OpenAPI document allows, and what it does not; return how many cases that were.

    `examples` bounds the cases of each operation and phase. AssertionError with the command's output when a check fails.
    """
    # A token that is refused would make every response a documented 401.
    known = (headers or {}) | {"authorization": f"Bearer {token}"}
    for path in lists():
        httpx2.get(f"{url}{path}", headers=known, timeout=40, trust_env=False).raise_for_status()
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "--no-color"]
    command += ["run", str(DOCUMENT), "--url", url, "--checks", "all", "--suppress-health-check", "all"]
    command += ["--max-examples", str(examples), "--generation-deterministic", "--warnings", "off"]
    command += [part for name, value in (headers or {}).items() for part in ("--header", f"{name}: {value}")]
    environment = os.environ | {"API_TOKEN": token, "PYTHONPATH": str(HERE.parent)}
    with TemporaryDirectory() as folder:  # it keeps what it has found beside its call
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = re.search(r"Test cases:\n +(.*)", done.stdout)
    assert summary, done.stdout
    return summary[1]
