"""The release gate, which decides only when a version has answered: `terraform test` on a mocked AWS that publishes version 8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import IsFlagged, Root
from tests.harness.pytest_plugin import RootFactory
from tests.infra.conftest import LEAST, MODULE, MODULE_FILES, URI

MOCKS = Path(__file__).with_name("mocks") / "aws.tfmock.hcl"
WELL = json.dumps({"statusCode": 200, "body": "well"})
ILL = json.dumps({"statusCode": 500, "body": "ill"})

LIVE: dict[str, tuple[dict[str, Any], str, str]] = {
    "the newest version that answers": ({}, WELL, 'aws_lambda_alias.live.function_version == "8"'),
    "an answer of the status that is expected": (
        {"smoke": {"status": 404}},
        json.dumps({"statusCode": 404}),
        'aws_lambda_alias.live.function_version == "8"',
    ),
    "a pinned version, and the newest is not even asked": (
        {"version": 7},
        WELL,
        'aws_lambda_alias.live.function_version == "7" && keys(aws_lambda_invocation.smoke) == ["live"]',
    ),
    "a canary, of which both versions were asked": (
        {"version": 7, "canary_percent": 10},
        WELL,
        '{ for k, i in aws_lambda_invocation.smoke : k => i.qualifier } == { canary = "8", live = "7" }'
        ' && aws_lambda_alias.live.routing_config[0].additional_version_weights["8"] == 0.1',
    ),
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a version that answers an error": (
        {},
        ILL,
        "Asked GET /healthz of version 8, expected status 200, and got: live: status 500: ill",
    ),
    "a pinned version that answers an error": ({"version": 7}, ILL, "of version 7, expected status 200"),
    "an answer of another status than the expected": (
        {"smoke": {"status": 204}},
        WELL,
        "expected status 204, and got: live: status 200: well",
    ),
    "a function that is no web application": ({}, json.dumps("hello"), 'no HTTP response: "hello"'),
    "a version that answers nothing": ({}, "null", "no HTTP response: null"),
    "a canary of the version that serves": (
        {"version": 8, "canary_percent": 10},
        WELL,
        "needs two versions, but release.version (8)",
    ),
}


def decide(root: Root, release: dict[str, Any], answer: str, check: str) -> tuple[int, str]:
    """Apply with every version answering the same; returns the exit code and all that Terraform said."""
    inputs = {**LEAST, "image": {"uri": URI}, "release": release}
    stated = "\n".join(f"{name} = {json.dumps(value)}" for name, value in inputs.items())
    root.write("mocks/aws.tfmock.hcl", MOCKS.read_text())
    root.write(
        "gate.tftest.hcl",
        f"""
        mock_provider "aws" {{
          source = "./mocks"
          mock_resource "aws_lambda_invocation" {{
            defaults = {{ result = {json.dumps(answer)} }}
          }}
        }}
        mock_provider "docker" {{}}
        run "decides" {{
          variables {{
            {stated}
          }}
          assert {{
            condition     = {check}
            error_message = "the gate decided otherwise"
          }}
        }}
        """,
    )
    result = root.terraform.test(json=IsFlagged)
    return result.code, "\n".join(map(str, result.diagnostics))


@pytest.mark.parametrize("case", LIVE)
def test_goes_live(case: str, terraform_root: RootFactory) -> None:
    code, said = decide(terraform_root(MODULE, files=MODULE_FILES), *LIVE[case])
    assert (code, said) == (0, "")


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case: str, terraform_root: RootFactory) -> None:
    release, answer, reason = REFUSED[case]
    code, said = decide(
        terraform_root(MODULE, files=MODULE_FILES), release, answer, 'aws_lambda_alias.live.name == "live"'
    )
    assert code == 1
    assert "Resource precondition failed" in said
    assert reason in said
