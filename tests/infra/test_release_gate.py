"""The release gate, which needs a version's response: `terraform test` on a mocked AWS that publishes version 8."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from harness import Diagnostic, IsFlagged, Result, Root, states
from sandbox.paths import MODULE, ROOT
from tests.infra.conftest import REQUIRED, URI

TESTS = (ROOT / MODULE / "tests/defaults.tftest.hcl").read_text(encoding="utf-8")
# The mocks of the module's own tests, without the version's response.
(MOCKS,) = re.findall(
    r'^mock_provider "aws" \{\n(.*?)  mock_resource "aws_lambda_invocation"', TESTS, re.MULTILINE | re.DOTALL
)
OK = json.dumps({"statusCode": 200, "body": "hello"})
ERROR = json.dumps({"statusCode": 500, "body": "broken"})

# `release`, and a condition on the module that must then hold.
LIVE: dict[str, tuple[dict[str, Any], str]] = {
    "the newest version, which passes": ({}, 'aws_lambda_alias.live.function_version == "8"'),
    "a pinned version, without a request to the newest": (
        {"version": 7},
        'aws_lambda_alias.live.function_version == "7" && keys(aws_lambda_invocation.smoke) == ["live"]',
    ),
    "a canary, after every request to both versions": (
        {
            "version": 7,
            "canary_percent": 10,
            "smoke": {"host": "a.example.com", "also": [{"path": "/a"}, None, {"path": "/b"}]},
        },
        '{ for k, i in aws_lambda_invocation.smoke : k => "${i.qualifier} ${jsondecode(i.input).rawPath}" } == {'
        ' canary = "8 /healthz", canary-1 = "8 /a", canary-2 = "8 /b", live = "7 /healthz", live-1 = "7 /a", live-2 = "7 /b" }'
        ' && alltrue([for i in aws_lambda_invocation.smoke : jsondecode(i.input).headers.host == "a.example.com"])'
        ' && aws_lambda_alias.live.routing_config[0].additional_version_weights["8"] == 0.1',
    ),
}
# `release.smoke`, and a response that passes.
ACCEPTED: dict[str, tuple[dict[str, Any], str]] = {
    "the expected status": ({"status": 404}, json.dumps({"statusCode": 404})),
    "a body that contains the text": ({"contains": "el"}, OK),
    "a base64 body that contains the text": (
        {"contains": "é"},
        json.dumps({"statusCode": 200, "body": base64.b64encode("é".encode()).decode(), "isBase64Encoded": True}),
    ),
    "a status as a string, which API Gateway accepts": ({"status": 404}, json.dumps({"statusCode": "404"})),
    "no status, which API Gateway treats as 200, and the text": ({"contains": '"hello"'}, json.dumps({"is": "hello"})),
}
# Beginnings of the messages of the gate's two preconditions.
SMOKE_FAILED = 'Release refused: the alias "live" is unchanged'
ONE_VERSION = "release.canary_percent needs two versions, but release.version (…) is the newest one"

# `release` (in HCL where JSON cannot express it), the response, and beginning and part of the message.
REFUSED: dict[str, tuple[dict[str, Any] | str, str, str, str]] = {
    "a version that returns 500": (
        {},
        ERROR,
        SMOKE_FAILED,
        "live: version 8: GET /healthz, expected status 200, got status 500: broken",
    ),
    "a pinned version that returns 500": (
        {"version": 7},
        ERROR,
        SMOKE_FAILED,
        "live: version 7: GET /healthz, expected status 200, got status 500",
    ),
    "an unexpected status": (
        {"smoke": {"status": 204}},
        OK,
        SMOKE_FAILED,
        "expected status 204, got status 200: hello",
    ),
    "a body without the text": (
        {"smoke": {"contains": "broken"}},
        OK,
        SMOKE_FAILED,
        "expected status 200 and a body containing broken, got status 200: hello",
    ),
    "a binary body": (
        {"smoke": {"contains": "/"}},
        json.dumps({"statusCode": 200, "body": "//79", "isBase64Encoded": True}),
        SMOKE_FAILED,
        "got status 200: bytes that are not UTF-8 text",
    ),
    "one failed request of two": (
        {"smoke": {"also": [{"path": "/a", "status": 404}]}},
        OK,
        SMOKE_FAILED,
        "live: version 8: GET /healthz, expected status 200: passed"
        " live-1: version 8: GET /a, expected status 404, got status 200: hello",
    ),
    "a request with secrets, which are hidden": (
        '{ smoke = { contains = sensitive("broken"), headers = { authorization = sensitive("Bearer abc") } } }',
        OK,
        SMOKE_FAILED,
        "GET /healthz, expected status 200 and a body containing (sensitive), got status 200: hello",
    ),
    "sensitive requests": (
        '{ smoke = sensitive({ host = "api.example.com", also = [{ path = "/a" }] }) }',
        ERROR,
        SMOKE_FAILED,
        "live-1: version 8: (sensitive) (sensitive), expected status (sensitive)",
    ),
    "a function that is not a web application": ({}, json.dumps("hello"), SMOKE_FAILED, 'no HTTP response: "hello"'),
    "a null response": ({}, "null", SMOKE_FAILED, "no HTTP response: null"),
    "a canary of the version that serves": (
        {"version": 8, "canary_percent": 10},
        OK,
        ONE_VERSION,
        "needs two versions, but release.version (8)",
    ),
}


# Other refusals: inputs, overrides of the mocks, and beginning and part of the message.
OTHER_REFUSALS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "provisioned concurrency for a version that fails": (
        {"provisioned_concurrency": {"min": 1}, "release": {"smoke": {"status": 204}}},
        "",
        'Release refused: nothing was provisioned, and the alias "live" is unchanged',
        "expected status 204",
    ),
    "a first release of a stopped function": (
        {"function": {"reserved_concurrency": 0}},
        'override_resource {\n target = aws_lambda_function.this\n values = { version = "$LATEST" }\n}',
        "function.reserved_concurrency = 0 stops the function",
        "null or above 0",
    ),
    "an unpublished update": (
        {},
        'override_data {\n target = data.aws_lambda_function.newest\n values = { version = "8", memory_size = 512, timeout = 3 }\n}',
        "Version … is the newest, but it does not match this configuration",
        "publish-version --region eu-central-1 --function-name orders",
    ),
}


def _responses(responses: Mapping[str, str]) -> str:
    """Return overrides that set the smoke responses of module calls, by call."""
    return "".join(
        f"override_resource {{\n target = module.{call}.aws_lambda_invocation.smoke\n"
        f" values = {{ result = {json.dumps(response)} }}\n}}\n"
        for call, response in responses.items()
    )


def _tests(run: str, overrides: str) -> str:
    """Return a test file of one run, in which versions respond with OK unless overridden."""
    return f"""
        mock_provider "aws" {{
          {MOCKS}
          mock_resource "aws_lambda_invocation" {{
            defaults = {{ result = {json.dumps(OK)} }}
          }}
        }}
        mock_provider "docker" {{}}
        {overrides}
        run "gate" {{
          {run}
        }}
    """


def _gate_test(check: str, overrides: str = "", **inputs: Any) -> str:
    variables = "\n".join(f"{name} = {json.dumps(value)}" for name, value in {**INPUTS, **inputs}.items())
    return _tests(
        f"""variables {{
            {variables}
          }}
          assert {{
            condition     = {check}
            error_message = "unexpected result of the gate"
          }}""",
        overrides,
    )


def _calls(releases: Mapping[str, dict[str, Any] | str]) -> str:
    """Return a root that calls the module (its parent folder) once per release, and outputs the versions that serve."""
    calls = "".join(
        f'module "{call}" {{\n source = "../"\n name = "{call}"\n image = {{ uri = "{URI}" }}\n auth = {{ iam = {{}} }}\n'
        f" release = {release if isinstance(release, str) else json.dumps(release)}\n}}\n"
        for call, release in releases.items()
    )
    return calls + f'output "versions" {{\n value = [{", ".join(f"module.{call}.version" for call in releases)}]\n}}\n'


INPUTS = {**REQUIRED, "image": {"uri": URI}}
FILES = {case: f"gate{number}.tftest.hcl" for number, case in enumerate([*LIVE, *OTHER_REFUSALS])}
CALLS = {case: f"refused{number}" for number, case in enumerate(REFUSED)} | {
    case: f"accepted{number}" for number, case in enumerate(ACCEPTED)
}


@pytest.fixture(scope="module")
def diagnostics(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> list[Diagnostic]:
    """Diagnostics of all cases, from one command. Refused cases are calls of one root; so are accepted ones."""
    refused = {CALLS[case]: release for case, (release, _, _, _) in REFUSED.items()}
    accepted = {CALLS[case]: {"smoke": smoke} for case, (smoke, _) in ACCEPTED.items()}
    serves = f"""module {{
            source = "./accepted"
          }}
          assert {{
            condition     = output.versions == {json.dumps(["8"] * len(accepted))}
            error_message = "unexpected result of the gate"
          }}"""
    tests = {
        "accepted.tftest.hcl": _tests(
            serves, _responses({CALLS[case]: response for case, (_, response) in ACCEPTED.items()})
        ),
        "refused.tftest.hcl": _tests(
            'module {\n source = "./refused"\n}',
            _responses({CALLS[case]: response for case, (_, response, _, _) in REFUSED.items()}),
        ),
    }
    for case, (release, check) in LIVE.items():
        tests[FILES[case]] = _gate_test(check, release=release)
    for case, (inputs, overrides, _, _) in OTHER_REFUSALS.items():
        tests[FILES[case]] = _gate_test('aws_lambda_alias.live.name == "live"', overrides, **inputs)
    versions = (ROOT / MODULE / "versions.tf").read_text(encoding="utf-8")
    roots = {"accepted/main.tf": versions + _calls(accepted), "refused/main.tf": versions + _calls(refused)}
    root = terraform_roots(MODULE, roots | tests)
    # Without the module's own test files, which the copy also contains.
    result: Result = root.terraform.test(json=IsFlagged, filter=list(tests))
    ran = {event["@testfile"] for event in result.events if event.get("type") == "test_run"}
    assert ran == set(tests), result.err
    return result.diagnostics


@pytest.mark.parametrize("case", LIVE)
def test_release_goes_live(case: str, diagnostics: list[Diagnostic]) -> None:
    assert [d for d in diagnostics if d.severity == "error" and d.test == FILES[case]] == []


@pytest.mark.parametrize("case", ACCEPTED)
def test_response_passes(case: str, diagnostics: list[Diagnostic]) -> None:
    assert [d for d in diagnostics if f"--function-name {CALLS[case]} " in d.detail] == []
    assert [d for d in diagnostics if d.severity == "error" and d.test == "accepted.tftest.hcl"] == []


@pytest.mark.parametrize("case", REFUSED)
def test_release_is_refused(case: str, diagnostics: list[Diagnostic]) -> None:
    _, _, rule, reason = REFUSED[case]
    gate_refusals = [d for d in diagnostics if d.test == "refused.tftest.hcl" and states(rule, d.detail)]
    (refusal,) = [d for d in gate_refusals if f"--function-name {CALLS[case]} " in d.detail or rule == ONE_VERSION]
    assert refusal.summary == "Resource precondition failed"
    assert reason in str(refusal)


@pytest.mark.parametrize("case", OTHER_REFUSALS)
def test_is_refused_by_another_precondition(case: str, diagnostics: list[Diagnostic]) -> None:
    _, _, rule, reason = OTHER_REFUSALS[case]
    (refusal,) = [d for d in diagnostics if d.test == FILES[case] and d.summary == "Resource precondition failed"]
    assert states(rule, refusal.detail)
    assert reason in str(refusal)


def test_nothing_else_is_refused(diagnostics: list[Diagnostic]) -> None:
    assert len([d for d in diagnostics if d.severity == "error"]) == len(REFUSED) + len(OTHER_REFUSALS)
