"""The release gate, which decides only when a version has answered: `terraform test` on a mocked AWS that publishes version 8."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness import Diagnostic, IsFlagged, Result, Root, states
from sandbox.paths import MODULE, ROOT
from tests.infra.conftest import LEAST, MODULE_FILES, URI

TESTS = (ROOT / MODULE / "tests/defaults.tftest.hcl").read_text(encoding="utf-8")
# What AWS answers in the module's own tests, but for the answer of a version.
(MOCKS,) = re.findall(
    r'^mock_provider "aws" \{\n(.*?)  mock_resource "aws_lambda_invocation"', TESTS, re.MULTILINE | re.DOTALL
)
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
# How the messages of the gate's two preconditions begin.
NO_GOOD_ANSWER = 'Release refused, the alias "live" was not touched'
ONE_VERSION = "release.canary_percent needs two versions, but release.version (…) is the newest one"

REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a version that answers an error": (
        {},
        ILL,
        NO_GOOD_ANSWER,
        "Asked GET /healthz of version 8, expected status 200, and got: live: status 500: ill",
    ),
    "a pinned version that answers an error": (
        {"version": 7},
        ILL,
        NO_GOOD_ANSWER,
        "of version 7, expected status 200",
    ),
    "an answer of another status than the expected": (
        {"smoke": {"status": 204}},
        WELL,
        NO_GOOD_ANSWER,
        "expected status 204, and got: live: status 200: well",
    ),
    "a function that is no web application": ({}, json.dumps("hello"), NO_GOOD_ANSWER, 'no HTTP response: "hello"'),
    "a version that answers nothing": ({}, "null", NO_GOOD_ANSWER, "no HTTP response: null"),
    "a canary of the version that serves": (
        {"version": 8, "canary_percent": 10},
        WELL,
        ONE_VERSION,
        "needs two versions, but release.version (8)",
    ),
}


# What else must not be released: inputs, what AWS says of the function or of its newest version, the rule and its reason.
STOPPED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a version that would be provisioned and answers an error": (
        {"provisioned_concurrency": {"min": 1}, "release": {"smoke": {"status": 204}}},
        "",
        'Release refused, nothing was provisioned and the alias "live" was not touched',
        "expected status 204",
    ),
    "a function that nobody may call": (
        {"function": {"reserved_concurrency": 0}},
        'override_resource {\n target = aws_lambda_function.this\n values = { version = "$LATEST" }\n}',
        "function.reserved_concurrency = 0 stops the function",
        "null or above 0",
    ),
    "an update that was never published": (
        {},
        'override_data {\n target = data.aws_lambda_function.newest\n values = { version = "8", memory_size = 512, timeout = 3 }\n}',
        "Version … is the newest, and it does not run what this configuration says",
        "publish-version --region eu-central-1 --function-name orders",
    ),
}
ANY = 'aws_lambda_alias.live.name == "live"'
CASES = [*LIVE, *REFUSED, *STOPPED]


def _test(release: dict[str, Any], answer: str, check: str, override: str = "", **others: Any) -> str:
    """Return a file of tests in which every version answers the same."""
    inputs = {**LEAST, "image": {"uri": URI}, "release": release, **others}
    stated = "\n".join(f"{name} = {json.dumps(value)}" for name, value in inputs.items())
    return f"""
        mock_provider "aws" {{
          {MOCKS}
          mock_resource "aws_lambda_invocation" {{
            defaults = {{ result = {json.dumps(answer)} }}
          }}
        }}
        mock_provider "docker" {{}}
        {override}
        run "decides" {{
          variables {{
            {stated}
          }}
          assert {{
            condition     = {check}
            error_message = "the gate decided otherwise"
          }}
        }}
    """


@pytest.fixture(scope="module")
def decisions(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Mapping[str, list[Diagnostic]]:
    """What Terraform says of each case. One command runs them all, each in a file, and so with a state, of its own."""
    tests = {case: _test(*LIVE[case]) for case in LIVE}
    for case, (release, answer, _, _) in REFUSED.items():
        tests[case] = _test(release, answer, ANY)
    files = {case: f"gate-{number}.tftest.hcl" for number, case in enumerate(CASES)}
    for case, (others, override, _, _) in STOPPED.items():
        tests[case] = _test(**{"release": {}, **others}, answer=WELL, check=ANY, override=override)
    root = terraform_roots(MODULE, MODULE_FILES | {file: tests[case] for case, file in files.items()})
    # Not the module's own test files, which the copy has, too.
    result: Result = root.terraform.test(json=IsFlagged, filter=list(files.values()))
    ran = {event["@testfile"] for event in result.events if event.get("type") == "test_run"}
    assert ran == set(files.values()), result.err
    return {case: [d for d in result.diagnostics if d.test == file] for case, file in files.items()}


@pytest.mark.parametrize("case", LIVE)
def test_goes_live(case: str, decisions: Mapping[str, list[Diagnostic]]) -> None:
    assert decisions[case] == []


@pytest.mark.parametrize("case", [*REFUSED, *STOPPED])
def test_is_refused(case: str, decisions: Mapping[str, list[Diagnostic]]) -> None:
    _, _, rule, reason = (REFUSED | STOPPED)[case]
    (refusal,) = [d for d in decisions[case] if d.summary == "Resource precondition failed"]
    assert states(rule, refusal.detail)
    assert reason in str(refusal)
