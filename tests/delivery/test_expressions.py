"""The evaluator of GitHub's expressions: what it knows, and that it fails on the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tools.workflow import ExpressionError, WorkflowError, evaluate, interpolate
from tools.workflow.runner import assignments, workflow_inputs

CONTEXTS: dict[str, Any] = {
    "github": {"event_name": "pull_request", "event": {"pull_request": {"number": 12}}},
    "inputs": {"issue": True, "source": "", "dry-run": False},
    "steps": {"plan": {"outputs": {"changes": "true"}}},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.event.pull_request.number", 12),
        ("github.event.action", None),
        ("github.event_name == 'PULL_REQUEST'", True),
        ("steps.plan.outputs.changes == 'true' && !inputs.dry-run", True),
        ("steps.plan.outputs.none || 'other'", "other"),
        ("inputs.source || inputs.issue && 'it''s'", "it's"),
        ("!(true || false) || null", None),
        ("1 - 1", ExpressionError),
        ("always() && failure()", False),
        ("steps.other.outputs.changes", ExpressionError),
        ("inputs.unknown", ExpressionError),
        ("vars.REGION", ExpressionError),
        ("contains('a', 'a')", ExpressionError),
        ("inputs.issue == 'true'", ExpressionError),
        ("github.event_name ==", ExpressionError),
        ("(true", ExpressionError),
        ("true false", ExpressionError),
    ],
)
def test_expression(expression: str, value: Any) -> None:
    if value is ExpressionError:
        with pytest.raises(ExpressionError):
            evaluate(expression, CONTEXTS)
    else:
        assert evaluate(expression, CONTEXTS) == value


def test_text_is_interpolated() -> None:
    text = "pr-${{ github.event.pull_request.number }}${{ inputs.source }} ${{ inputs.issue }}"
    assert interpolate(text, CONTEXTS) == "pr-12 true"


def test_assignments_have_one_line_or_an_end_marker() -> None:
    assert assignments("a=1=2\nb<<END\nx\ny\nEND\nc=\n") == {"a": "1=2", "b": "x\ny", "c": ""}
    with pytest.raises(WorkflowError, match="not name=value"):
        assignments("a\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "missing inputs: root"),
        ({"root": "a", "more": "b"}, "unknown inputs: more"),
        ({"root": True}, "must be a string"),
    ],
)
def test_inputs_are_checked(given: dict[str, Any], message: str) -> None:
    document = {"on": {"workflow_call": {"inputs": {"root": {"type": "string", "required": True}}}}}
    with pytest.raises(WorkflowError, match=message):
        workflow_inputs(document, given)
