"""The pack's verdict on single environment variables, in checkov's environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.policy.conftest import PACK
from tools.policy_scan import PYTHON

TABLE: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("environment.yaml").read_text())
CASES = [(kind, name, value) for kind, variables in TABLE.items() for name, value in variables.items()]
# Assembled here, so that no secret scanner reports this file.
FORMATS = {
    "{aws_key}": "AKIA" + "Z3XQ7RT5WJ2MNP4K",
    "{github_token}": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "{jwt}": "eyJhbGciOiJub25lIn0" + ".eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    "{private_key}": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n",
    "{stripe_key}": "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
    "{slack_webhook}": "https://hooks.slack.com/services/" + "T00000000/B00000000/a1B2c3D4e5F6g7H8i9J0k1L2",
}
PROGRAM = """
import json, sys
from lca_secrets import is_secret
json.dump([is_secret(name, value) for _, name, value in json.load(sys.stdin)], sys.stdout)
"""


@pytest.fixture(scope="session")
def verdicts() -> dict[tuple[str, str], bool]:
    """Whether the pack takes each variable for a secret, by kind and name."""
    cases = [(kind, name, FORMATS.get(value, value)) for kind, name, value in CASES]
    result = subprocess.run(
        [str(PYTHON), "-c", PROGRAM], cwd=PACK, input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    return {(kind, name): found for (kind, name, _), found in zip(CASES, json.loads(result.stdout), strict=True)}


@pytest.mark.parametrize(("kind", "name", "value"), CASES, ids=[f"{kind} {name}" for kind, name, _ in CASES])
def test_variable_is_judged(kind: str, name: str, value: str, verdicts: dict[tuple[str, str], bool]) -> None:
    assert verdicts[kind, name] == (kind == "secret")


def test_false_findings_and_misses_are_counted(
    verdicts: dict[tuple[str, str], bool], note: Callable[[str], None]
) -> None:
    found = {kind: sum(verdicts[kind, name] for name in names) for kind, names in TABLE.items()}
    note(
        f"policy: {found['secret']} of {len(TABLE['secret'])} secrets found in environments, "
        f"{found['setting']} false findings in {len(TABLE['setting'])} settings"
    )
    assert min(len(names) for names in TABLE.values()) >= 60
