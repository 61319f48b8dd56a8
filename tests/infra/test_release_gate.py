"""The release gate, which decides only when a version has answered: `terraform test` on a mocked AWS that publishes version 8."""

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
# What AWS answers in the module's own tests, but for the answer of a version.
(MOCKS,) = re.findall(
    r'^mock_provider "aws" \{\n(.*?)  mock_resource "aws_lambda_invocation"', TESTS, re.MULTILINE | re.DOTALL
)
WELL = json.dumps({"statusCode": 200, "body": "well"})
ILL = json.dumps({"statusCode": 500, "body": "ill"})

# What a release is, and what then holds of the module.
LIVE: dict[str, tuple[dict[str, Any], str]] = {
    "the newest version that answers": ({}, 'aws_lambda_alias.live.function_version == "8"'),
    "a pinned version, and the newest is not even asked": (
        {"version": 7},
        'aws_lambda_alias.live.function_version == "7" && keys(aws_lambda_invocation.smoke) == ["live"]',
    ),
    "a canary, of which both versions were asked all that there is to ask": (
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
# What is expected, and an answer that is as good.
ACCEPTED: dict[str, tuple[dict[str, Any], str]] = {
    "an answer of the status that is expected": ({"status": 404}, json.dumps({"statusCode": 404})),
    "a body that holds the text": ({"contains": "el"}, WELL),
    "a body in base64 that holds the text": (
        {"contains": "é"},
        json.dumps({"statusCode": 200, "body": base64.b64encode("é".encode()).decode(), "isBase64Encoded": True}),
    ),
    "a status as text, which API Gateway takes": ({"status": 404}, json.dumps({"statusCode": "404"})),
    "no status, which API Gateway takes for 200, and the text": ({"contains": '"well"'}, json.dumps({"is": "well"})),
}
# How the messages of the gate's two preconditions begin.
SMOKE_FAILED = 'Release refused: the alias "live" is unchanged'
ONE_VERSION = "release.canary_percent needs two versions, but release.version (…) is the newest one"

# A release, in HCL where JSON cannot say it, an answer, the rule that refuses it, and the reason that is given.
REFUSED: dict[str, tuple[dict[str, Any] | str, str, str, str]] = {
    "a version that answers an error": (
        {},
        ILL,
        SMOKE_FAILED,
        "live: version 8: GET /healthz, expected status 200, got status 500: ill",
    ),
    "a pinned version that answers an error": (
        {"version": 7},
        ILL,
        SMOKE_FAILED,
        "live: version 7: GET /healthz, expected status 200, got status 500",
    ),
    "an answer of another status than the expected": (
        {"smoke": {"status": 204}},
        WELL,
        SMOKE_FAILED,
        "expected status 204, got status 200: well",
    ),
    "a body that holds something else": (
        {"smoke": {"contains": "ill"}},
        WELL,
        SMOKE_FAILED,
        "expected status 200 and a body containing ill, got status 200: well",
    ),
    "a body of bytes, in which no text can be": (
        {"smoke": {"contains": "/"}},
        json.dumps({"statusCode": 200, "body": "//79", "isBase64Encoded": True}),
        SMOKE_FAILED,
        "got status 200: bytes that are not UTF-8 text",
    ),
    "one of several requests that is answered otherwise": (
        {"smoke": {"also": [{"path": "/a", "status": 404}]}},
        WELL,
        SMOKE_FAILED,
        "live: version 8: GET /healthz, expected status 200: passed"
        " live-1: version 8: GET /a, expected status 404, got status 200: well",
    ),
    "a request with secrets, which are not shown": (
        '{ smoke = { contains = sensitive("ill"), headers = { authorization = sensitive("Bearer abc") } } }',
        WELL,
        SMOKE_FAILED,
        "GET /healthz, expected status 200 and a body containing (sensitive), got status 200: well",
    ),
    "requests that are all secret": (
        '{ smoke = sensitive({ host = "api.example.com", also = [{ path = "/a" }] }) }',
        ILL,
        SMOKE_FAILED,
        "live-1: version 8: (sensitive) (sensitive), expected status (sensitive)",
    ),
    "a function that is no web application": ({}, json.dumps("hello"), SMOKE_FAILED, 'no HTTP response: "hello"'),
    "a version that answers nothing": ({}, "null", SMOKE_FAILED, "no HTTP response: null"),
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
        'Release refused: nothing was provisioned, and the alias "live" is unchanged',
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
        "Version … is the newest, but it does not match this configuration",
        "publish-version --region eu-central-1 --function-name orders",
    ),
}


def _answers(answers: Mapping[str, str]) -> str:
    """Return what has the versions of some calls of the module answer that."""
    return "".join(
        f"override_resource {{\n target = module.{call}.aws_lambda_invocation.smoke\n"
        f" values = {{ result = {json.dumps(answer)} }}\n}}\n"
        for call, answer in answers.items()
    )


def _tests(run: str, overrides: str) -> str:
    """Return a file of one test, in which versions answer WELL where nothing overrides that."""
    return f"""
        mock_provider "aws" {{
          {MOCKS}
          mock_resource "aws_lambda_invocation" {{
            defaults = {{ result = {json.dumps(WELL)} }}
          }}
        }}
        mock_provider "docker" {{}}
        {overrides}
        run "decides" {{
          {run}
        }}
    """


def _decides(check: str, overrides: str = "", **inputs: Any) -> str:
    stated = "\n".join(f"{name} = {json.dumps(value)}" for name, value in {**INPUTS, **inputs}.items())
    return _tests(
        f"""variables {{
            {stated}
          }}
          assert {{
            condition     = {check}
            error_message = "the gate decided otherwise"
          }}""",
        overrides,
    )


def _calls(releases: Mapping[str, dict[str, Any] | str]) -> str:
    """Return a root that calls the module, which lies above it, once with each release, and outputs which version serves."""
    stated = "".join(
        f'module "{call}" {{\n source = "../"\n name = "{call}"\n image = {{ uri = "{URI}" }}\n auth = {{ iam = {{}} }}\n'
        f" release = {release if isinstance(release, str) else json.dumps(release)}\n}}\n"
        for call, release in releases.items()
    )
    return stated + f'output "versions" {{\n value = [{", ".join(f"module.{call}.version" for call in releases)}]\n}}\n'


INPUTS = {**REQUIRED, "image": {"uri": URI}}
FILES = {case: f"gate{number}.tftest.hcl" for number, case in enumerate([*LIVE, *STOPPED])}
CALLS = {case: f"refused{number}" for number, case in enumerate(REFUSED)} | {
    case: f"accepted{number}" for number, case in enumerate(ACCEPTED)
}


@pytest.fixture(scope="module")
def said(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> list[Diagnostic]:
    """What Terraform says of all cases. One command runs them: those that are refused as calls of one root, as are those accepted."""
    refused = {CALLS[case]: release for case, (release, _, _, _) in REFUSED.items()}
    accepted = {CALLS[case]: {"smoke": smoke} for case, (smoke, _) in ACCEPTED.items()}
    serves = f"""module {{
            source = "./accepted"
          }}
          assert {{
            condition     = output.versions == {json.dumps(["8"] * len(accepted))}
            error_message = "the gate decided otherwise"
          }}"""
    tests = {
        "accepted.tftest.hcl": _tests(
            serves, _answers({CALLS[case]: answer for case, (_, answer) in ACCEPTED.items()})
        ),
        "refused.tftest.hcl": _tests(
            'module {\n source = "./refused"\n}',
            _answers({CALLS[case]: answer for case, (_, answer, _, _) in REFUSED.items()}),
        ),
    }
    for case, (release, check) in LIVE.items():
        tests[FILES[case]] = _decides(check, release=release)
    for case, (inputs, overrides, _, _) in STOPPED.items():
        tests[FILES[case]] = _decides('aws_lambda_alias.live.name == "live"', overrides, **inputs)
    versions = (ROOT / MODULE / "versions.tf").read_text(encoding="utf-8")
    roots = {"accepted/main.tf": versions + _calls(accepted), "refused/main.tf": versions + _calls(refused)}
    root = terraform_roots(MODULE, roots | tests)
    # Not the module's own test files, which the copy has, too.
    result: Result = root.terraform.test(json=IsFlagged, filter=list(tests))
    ran = {event["@testfile"] for event in result.events if event.get("type") == "test_run"}
    assert ran == set(tests), result.err
    return result.diagnostics


@pytest.mark.parametrize("case", LIVE)
def test_goes_live(case: str, said: list[Diagnostic]) -> None:
    assert [d for d in said if d.severity == "error" and d.test == FILES[case]] == []


@pytest.mark.parametrize("case", ACCEPTED)
def test_is_accepted(case: str, said: list[Diagnostic]) -> None:
    assert [d for d in said if f"--function-name {CALLS[case]} " in d.detail] == []
    assert [d for d in said if d.severity == "error" and d.test == "accepted.tftest.hcl"] == []


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case: str, said: list[Diagnostic]) -> None:
    _, _, rule, reason = REFUSED[case]
    of_the_gate = [d for d in said if d.test == "refused.tftest.hcl" and states(rule, d.detail)]
    (refusal,) = [d for d in of_the_gate if f"--function-name {CALLS[case]} " in d.detail or rule == ONE_VERSION]
    assert refusal.summary == "Resource precondition failed"
    assert reason in str(refusal)


@pytest.mark.parametrize("case", STOPPED)
def test_is_stopped(case: str, said: list[Diagnostic]) -> None:
    _, _, rule, reason = STOPPED[case]
    (refusal,) = [d for d in said if d.test == FILES[case] and d.summary == "Resource precondition failed"]
    assert states(rule, refusal.detail)
    assert reason in str(refusal)


def test_nothing_else_is_refused(said: list[Diagnostic]) -> None:
    assert len([d for d in said if d.severity == "error"]) == len(REFUSED) + len(STOPPED)
