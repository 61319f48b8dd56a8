"""What a terminal shows, and requests to the new version."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from delivery.aws import Function, Request, Routing, Target
from delivery.errors import DeliveryError
from delivery.journal import Entry
from delivery.report import LiveProgress, summary


def test_terminal_shows_a_table_and_the_events() -> None:
    out = io.StringIO()
    progress = LiveProgress(out)
    progress.console = Console(file=out, force_terminal=True, width=100)
    entry = Entry("7", "8", [10, 50, 100], 5, [])
    entry.add("deploy without traffic: 3 changes", Routing("7"))
    progress.begin(entry)
    entry.state, entry.percent = "watching", 50
    entry.add("version 7 50 %, version 8 50 %", Routing("7", "8", 50))
    progress.event(entry, entry.events[-1]["text"])
    progress.watching(entry, 42)
    entry.state, entry.result, entry.reason = "ended", "returned", "the alarm errors is in ALARM"
    progress.end(entry)
    progress.close()
    shown = out.getvalue()
    for expected in ("version 7 → 8", "passed", "watching, 42 s left", "returned", "the alarm errors is in ALARM"):
        assert expected in shown


def test_summary_escapes_what_markdown_would_read() -> None:
    entry = Entry("7", "8", [100], 5, [], result="unknown", reason="one | two")
    entry.add("apply | failed\nin two lines")
    assert "| apply \\| failed in two lines |" in summary(entry, "orders:live")


class Invoked:
    """A fake Lambda client with one response."""

    def __init__(self, payload: Any, error: str | None = None) -> None:
        self.response = {"Payload": io.BytesIO(json.dumps(payload).encode())} | (
            {"FunctionError": error} if error else {}
        )
        self.given: dict[str, Any] = {}

    def invoke(self, **given: Any) -> dict[str, Any]:
        self.given = given
        return self.response


TARGET = Target("eu-central-1", "orders", "live")


def test_request_goes_to_the_version_itself() -> None:
    client = Invoked({"statusCode": 200})
    Function(TARGET, client).send("8", Request.of("GET /readyz"))
    assert (client.given["FunctionName"], client.given["Qualifier"]) == ("orders", "8")
    assert json.loads(client.given["Payload"])["rawPath"] == "/readyz"


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (
            Invoked({"statusCode": 503, "body": "no table"}),
            "version 8: GET /readyz, expected status 200, got status 503: .*no table",
        ),
        (Invoked({"errorMessage": "no module"}, "Unhandled"), "got no HTTP response: .*no module"),
        (Invoked("text"), "got no HTTP response"),
    ],
)
def test_other_response_is_an_error(client: Invoked, message: str) -> None:
    with pytest.raises(DeliveryError, match=message):
        Function(TARGET, client).send("8", Request.of("GET /readyz 200"))
