"""`compare` against small APIs in threads: what it sends, finds, accepts, keeps and refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration import client, progress, trace
from migration import compare as comparison
from migration.__main__ import main
from migration.client import Target, UnreachableError
from migration.compare import Options
from migration.comparison import DIFFERENT, EQUAL, INCOMPLETE, percentile
from migration.errors import ComparisonError
from migration.journal import Journal
from migration.replay import Replay, Side
from migration.route_keys import Router
from sandbox.paths import ROOT
from tests.migration.apis import Api, App, Call, People, Reply, serve, write_requests

REFUSED = ComparisonError.exit_code
USER = {"userId": "u1", "name": "Ada", "updatedAt": "08:00"}
Serve = Callable[[App], Api]


@pytest.fixture
def serving() -> Iterator[Serve]:
    """`serving(app)` serves an app until the end of the test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serve(app))


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def always(body: Any, status: int = 200, **headers: str) -> App:
    reply = Reply(body, status, {"content-type": "application/json", **headers})
    return lambda _: reply


def requests(*given: str | dict[str, Any]) -> str:
    return str(write_requests(Path("requests.jsonl"), *given))


def compare(old: Api | str, new: Api | str, *arguments: str, file: str = "requests.jsonl") -> int:
    urls = [side if isinstance(side, str) else side.url for side in (old, new)]
    return main(["compare", file, "--old", urls[0], "--new", urls[1], *arguments])


def accept(*entries: dict[str, Any], **sections: Any) -> list[str]:
    Path("differences.yaml").write_text(yaml.safe_dump({"differences": list(entries), **sections}))
    return ["--accepted", "differences.yaml"]


def closed_port() -> str:
    """URL of a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


# --- Equal and different ---


def test_equal_responses_are_equal(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = serving(always(USER)), serving(always(USER, server="other"))
    requests("GET /users/1", "GET /users/2?full=1", "HEAD /users/1", "OPTIONS /users")
    assert compare(old, new, "--json", "result.json") == EQUAL
    assert "4 requests compared: 4 equal" in capsys.readouterr().out
    assert sorted(old.seen) == sorted(new.seen)
    assert "GET /users/2?full=1" in old.seen
    result = json.loads(Path("result.json").read_text())
    assert {each["route"]: each["compared"] for each in result["routes"]} == {
        "GET /users/{}": 2,
        "HEAD /users/{}": 1,
        "OPTIONS /users": 1,
    }
    assert all(each["milliseconds"]["new"]["p99"] > 0 for each in result["routes"])


def test_progress_is_shown(serving: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0)
    requests("GET /a", "GET /b")
    assert compare(serving(always(1)), serving(always(2))) == DIFFERENT
    assert "2 of 2 requests sent, 2 with differences, 0 not compared" in capsys.readouterr().err


DIFFERENCES: dict[str, tuple[App, str]] = {
    "the status": (always(USER, 404), "status: 200 → 404"),
    "a header": (always(USER, etag="1"), "header etag: <absent> → <present>"),
    "a value": (always(USER | {"name": "Eve"}), 'body name: "Ada" → "Eve"'),
    "a type": (always(USER | {"name": 1}), "body name: <string> → <number>"),
    "a missing field": (always({"userId": "u1", "name": "Ada"}), "body updatedAt: <string> → <absent>"),
    "no JSON": (lambda _: Reply(b"oops"), "body: "),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_difference_fails_and_is_named_with_its_route(
    serving: Serve, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    app, text = DIFFERENCES[case]
    requests({"method": "GET", "path": "/users/1", "id": "Ada's"}, {"method": "GET", "path": "/users/2", "id": "Eve's"})
    assert compare(serving(always(USER)), serving(app)) == DIFFERENT
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  differs: ")]
    assert f"GET /users/{{}}: {text}" in line
    assert line.endswith("(line 1, Ada's; 2 times)")


def test_accepted_differences_do_not_fail(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = serving(always(USER)), serving(always(USER | {"updatedAt": "09:00"}))
    requests("GET /users/1")
    entry = {"route": "GET /users/{}", "kind": "body", "path": "updatedAt", "reason": "the time of the request"}
    assert compare(old, new, *accept(entry)) == EQUAL
    text = capsys.readouterr().out
    assert "1 with accepted differences" in text
    assert "accepted: entry 1 (GET /users/{}, body updatedAt): the time of the request (once)" in text
    assert compare(old, new, *accept(entry | {"new": "10:00"})) == DIFFERENT


def test_accepted_difference_that_is_gone_fails_unless_its_route_has_no_requests(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = serving(always(USER)), serving(always(USER))
    requests("GET /users/1")
    entry = {"route": "GET /users/{}", "kind": "body", "path": "name", "old": "Ada", "reason": "renamed"}
    assert compare(old, new, *accept(entry)) == DIFFERENT
    assert "no longer there: entry 1 (GET /users/{}, body name): renamed" in capsys.readouterr().out
    assert compare(old, new, *accept(entry | {"route": "GET /customers"})) == EQUAL
    assert "not met in this run: entry 1 (GET /customers" in capsys.readouterr().out
    # An entry for any values: they may be equal by chance.
    assert compare(old, new, *accept({key: entry[key] for key in ("route", "kind", "path", "reason")})) == EQUAL
    assert "not met in this run: entry 1" in capsys.readouterr().out


def test_proposed_entries_are_accepted_once_they_have_reasons(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = serving(always(USER)), serving(always({"name": "Eve"}, 201, etag="1"))
    requests("GET /users/1")
    assert compare(old, new, "--propose", "proposed.yaml") == DIFFERENT
    proposed = Path("proposed.yaml")
    assert compare(old, new, "--accepted", "proposed.yaml") == REFUSED
    assert "entry 1 (GET /users/{}): reason must say why" in capsys.readouterr().err
    proposed.write_text(proposed.read_text().replace("reason: ''", "reason: reviewed"))
    assert compare(old, new, "--accepted", "proposed.yaml") == EQUAL
    assert compare(old, new, "--propose", "proposed.yaml") == REFUSED
    assert "reviewed" in proposed.read_text()


def test_redirects_and_base_paths_are_compared_without_the_own_url(serving: Serve) -> None:
    def app(call: Call) -> Reply:
        stage = "/prod" if call.path.startswith("/prod") else ""
        return Reply(status=302, headers={"location": f"http://{call.headers['host']}{stage}/users/1"})

    old, new = serving(app), serving(app)
    requests("GET /users")
    assert compare(f"{old.url}/prod/", new) == EQUAL
    assert (old.seen, new.seen) == (["GET /prod/users"], ["GET /users"])


def test_host_names_below_localhost_are_this_machine(serving: Serve) -> None:
    old, new = serving(always(1)), serving(always(1))
    port = new.url.rpartition(":")[2]
    requests("GET /users")
    assert compare(old, f"http://api.execute-api.localhost:{port}") == EQUAL
    assert new.calls[0].headers["host"] == f"api.execute-api.localhost:{port}"


# --- Routes ---

KEYS = [
    "GET /users",
    "ANY /users/{id}",
    "GET /users/{id}",
    "GET /users/me",
    "ANY /users/{id}/{rest+}",
    "DELETE /users/{id}",
    "ANY /{proxy+}",
]


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/users", "GET /users"),
        ("GET", "/users/?a=/x/y", "GET /users"),
        ("GET", "/users/7", "GET /users/{id}"),
        ("GET", "/users/me", "GET /users/me"),
        ("DELETE", "/users/me", "DELETE /users/{id}"),
        ("POST", "/users/7/a/b", "ANY /users/{id}/{rest+}"),
        ("PUT", "/users/7", "ANY /users/{id}"),
        ("PUT", "/customers/7", "ANY /{proxy+}"),
        ("GET", "/", "GET /"),
    ],
)
def test_route_is_chosen_as_api_gateway_does(method: str, path: str, key: str) -> None:
    assert Router(KEYS).route(method, path) == key
    assert Router(KEYS[::-1]).route(method, path) == key


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/users/42", "/users/{}"),
        ("/users/0b9f3a8c-1111-2222-3333-444455556666/orders", "/users/{}/orders"),
        ("/files/01HZX3K9QWERTYUIOPASDFGHJK", "/files/{}"),
        ("/health", "/health"),
        ("/v1/customer-accounts/search", "/v1/customer-accounts/search"),
    ],
)
def test_path_without_a_known_route_has_a_shape(path: str, shape: str) -> None:
    assert Router([]).route("GET", path) == f"GET {shape}"


ROUTES = {
    "inventory.json": json.dumps({"apis": [{"routes": [{"key": "GET /users/{userId}"}, {"key": "GET /customers"}]}]}),
    "api.openapi.json": json.dumps(
        {"paths": {"/users/{userId}": {"get": {}, "parameters": []}, "/customers": {"get": {}}}}
    ),
    "api.tfvars": 'routes = {\n  "GET /users/{userId}" = {\n    legacy = {}\n  }\n  # "GET /customers" = {\n  # }\n}\n',
}


@pytest.mark.parametrize("name", ROUTES)
def test_results_are_by_the_routes_of_a_file(serving: Serve, capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path(name).write_text(ROUTES[name])
    requests("GET /users/ada")
    assert compare(serving(always(1)), serving(always(1)), "--routes", name) == EQUAL
    text = capsys.readouterr().out
    assert re.search(r"^  GET /users/\{userId\} +1 ", text, re.MULTILINE)
    assert "nothing is known about: GET /customers" in text


def test_route_whose_every_response_is_a_refusal_is_named(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    requests("GET /users")
    assert compare(serving(always(1, 401)), serving(always(1, 401))) == EQUAL
    assert "only refused: GET /users: every response was 401 or 403" in capsys.readouterr().out


# --- Headers ---


def test_secret_headers_come_from_the_environment_for_requests_that_had_them(
    serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = serving(always(1)), serving(always(1))
    monkeypatch.setenv("TOKEN", "Bearer hunter2")
    monkeypatch.setenv("KEY", "of-old")
    requests(
        {"method": "GET", "path": "/a", "removed": ["Authorization"], "headers": {"Accept": "a/b"}},
        {"method": "GET", "path": "/b", "removed": []},
        "GET /c",
    )
    arguments = ["--header-env", "authorization=TOKEN", "--old-header-env", "x-api-key=KEY", "--clients", "1"]
    assert compare(old, new, *arguments) == EQUAL
    assert [call.headers.get("authorization") for call in new.calls] == ["Bearer hunter2", None, "Bearer hunter2"]
    assert [call.headers.get("x-api-key") for call in old.calls] == [None, None, "of-old"]
    assert [call.headers.get("x-api-key") for call in new.calls] == [None, None, None]
    assert old.calls[0].headers["accept"] == "a/b"
    assert "hunter2" not in Path("requests.journal.jsonl").read_text()


def test_requests_that_had_a_token_are_not_compared_without_one(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = serving(always(1, 401)), serving(always(1, 401))
    requests({"method": "GET", "path": "/a", "removed": ["authorization"]})
    assert compare(old, new) == REFUSED
    assert "had the header authorization" in capsys.readouterr().err
    assert old.calls == []
    assert compare(old, new, "--omit-header", "authorization") == EQUAL


# --- Writes ---


def test_writes_are_not_sent_unless_asked_for(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = serving(always(1)), serving(always(1))
    requests("GET /users", "POST /users", "PUT /users/1", "PATCH /users/1", "DELETE /users/1")
    assert compare(old, new) == EQUAL
    assert old.seen == new.seen == ["GET /users"]
    assert "not sent without --writes: 1 POST /users, 1 PUT /users/{}" in capsys.readouterr().out


def people(*more: dict[str, Any]) -> str:
    """Requests that create a user, use it by its id in the recording, and delete it."""
    recorded = "recorded-1"
    return requests(
        {"method": "POST", "path": "/users", "body": '{"name": "Ada"}', "ids": {"userId": recorded}},
        {"method": "GET", "path": f"/users/{recorded}?of={recorded}"},
        {"method": "PUT", "path": f"/users/{recorded}", "body": json.dumps({"self": f"/users/{recorded}"})},
        {"method": "GET", "path": "/users"},
        {"method": "DELETE", "path": f"/users/{recorded}"},
        {"method": "GET", "path": f"/users/{recorded}"},
        *more,
    )


def test_captured_ids_are_used_in_later_requests_of_their_side(serving: Serve) -> None:
    old, new = serving(People("old-")), serving(People("new-"))
    people()
    assert compare(old, new, "--writes", *accept(capture={"POST /users": "userId"})) == EQUAL
    assert old.seen == [
        "POST /users",
        "GET /users/old-00000000?of=old-00000000",
        "PUT /users/old-00000000",
        "GET /users",
        "DELETE /users/old-00000000",
        "GET /users/old-00000000",
    ]
    assert new.seen == [call.replace("old-", "new-") for call in old.seen]
    assert json.loads(new.calls[2].body) == {"self": "/users/new-00000000"}


def test_ids_that_are_not_captured_differ(serving: Serve) -> None:
    people()
    assert compare(serving(People("old-")), serving(People("new-")), "--writes") == DIFFERENT


def test_id_that_is_too_short_to_be_replaced_is_not_captured(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = serving(always({"userId": 7})), serving(always({"userId": 8}))
    requests("POST /users")
    assert compare(old, new, "--writes", *accept(capture={"POST /users": "userId"})) == INCOMPLETE
    assert "captured id '7' has fewer than 6 characters" in capsys.readouterr().out


def test_writes_are_sent_in_order_and_one_at_a_time(serving: Serve) -> None:
    busy = threading.Lock()

    def app(call: Call) -> Reply:
        assert busy.acquire(blocking=False)
        time.sleep(0.01)
        busy.release()
        return Reply(1)

    old, new = serving(app), serving(app)
    requests(*[f"POST /users/{number}" for number in range(10)])
    assert compare(old, new, "--writes", "--clients", "8") == EQUAL
    assert old.seen == new.seen == [f"POST /users/{number}" for number in range(10)]


# --- Failures, the journal, and resuming ---


def test_api_that_cannot_be_reached_is_named_before_anything_is_sent(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    old = serving(always(1))
    requests("GET /users")
    assert compare(old, closed_port()) == REFUSED
    assert "error: the new API cannot be compared: http://127.0.0.1" in capsys.readouterr().err
    assert old.calls == []
    assert compare(old, serving(always(1))) == EQUAL


def test_reads_connect_again_and_writes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSES", (0.1,) * 100)
    target = Target.parse(closed_port(), "--old")
    with pytest.raises(UnreachableError):
        target.send("POST", "/users", {}, b"", 5, again=False)
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(target.send, "GET", "/users", {}, b"", 5, again=True)
        time.sleep(0.3)
        assert not response.done()
        with serve(always(1), target.port):
            assert response.result(20).status == 200


def test_request_without_a_response_is_not_compared_and_resume_sends_it_again(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = {"GET /users/3"}

    def app(call: Call) -> Reply:
        if f"{call.method} {call.path}" in failing:
            raise ConnectionError
        return Reply(1)

    old, new = serving(always(1)), serving(app)
    requests(*[f"GET /users/{number}" for number in range(5)])
    assert compare(old, new) == INCOMPLETE
    printed = capsys.readouterr()
    assert "not compared: GET /users/{}: line 4: the new API: " in printed.out
    assert f"python -m migration compare requests.jsonl --old {old.url} --new {new.url} --resume" in printed.err
    # It was sent, so only the user repeats it.
    assert new.seen.count("GET /users/3") == 1

    failing.clear()
    assert compare(old, new, "--resume") == EQUAL
    assert (len(new.seen), "5 requests compared" in capsys.readouterr().out) == (6, True)


def test_slow_response_is_not_compared(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    def app(_: Call) -> Reply:
        time.sleep(0.6)
        return Reply(1)

    requests("GET /users")
    assert compare(serving(always(1)), serving(app), "--timeout", "0.2") == INCOMPLETE
    assert "did not respond to GET within 0.2 s" in capsys.readouterr().out


def gone_after(listener: socket.socket) -> App:
    """An API whose first response comes after the other one stopped listening."""

    def app(_: Call) -> Reply:
        listener.close()
        return Reply(1)

    return app


def test_comparison_stops_when_an_api_is_gone_and_is_resumed(
    serving: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    requests(*[f"GET /users/{number}" for number in range(40)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        old = serving(gone_after(listener))
        assert compare(old, f"http://127.0.0.1:{port}", "--clients", "1") == INCOMPLETE
    printed = capsys.readouterr()
    assert "0 requests compared" in printed.out
    assert "40 not compared" in printed.out
    assert "not sent, since the new API: " in printed.out
    assert "40 requests are left" in printed.err
    assert len(old.calls) == 5

    with serve(always(1), port) as new:
        assert compare(old, new, "--resume") == EQUAL
        assert len(new.calls) == 40


def test_writes_stop_at_once_when_the_new_api_is_gone(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    requests("POST /users", "PUT /users/1", "GET /users")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        old = serving(gone_after(listener))
        assert compare(old, f"http://127.0.0.1:{port}", "--writes") == INCOMPLETE
    printed = capsys.readouterr()
    assert "Only the old API has responded to this write" in printed.out
    assert "2 requests are left" in printed.err
    assert old.seen == ["POST /users"]

    with serve(always(1), port) as new:
        assert compare(old, new, "--writes", "--resume") == INCOMPLETE
        assert old.seen[1:] == new.seen == ["PUT /users/1", "GET /users"]
    assert "--resume" not in capsys.readouterr().err


def test_write_that_nobody_got_may_be_sent_again(serving: Serve) -> None:
    new = serving(always(1))
    file = Path(requests("POST /users", "PUT /users/1"))
    sides = Side("old", Target.parse(closed_port(), "--old"), {}), Side("new", Target.parse(new.url, "--new"), {})
    with Journal(Path("j"), {}, resume=False) as journal:
        replay = Replay(sides, journal, lambda _: "", {}, 5, lambda _: None, writes=True)
        replay.run(trace.load(file), 1)
    assert replay.stopped.startswith("the old API: ")
    with Journal(Path("j"), {}, resume=True) as journal:
        assert {line: outcome.again for line, outcome in journal.outcomes.items()} == {1: True}
    assert new.calls == []


def test_interrupted_comparison_is_resumed_where_it_stopped(serving: Serve, tmp_path: Path) -> None:
    release = threading.Event()

    def app(call: Call) -> Reply:
        if call.path == "/users/5":
            release.set()
            time.sleep(0.5)
        return Reply(USER)

    old, new = serving(always(USER)), serving(app)
    requests(*[f"GET /users/{number}" for number in range(20)])
    command = ["compare", "requests.jsonl", "--old", old.url, "--new", new.url, "--clients", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "migration", *command],
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert release.wait(30)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Continue with: python -m migration compare requests.jsonl" in error
    assert error.rstrip().endswith("--resume")
    sent = len(old.calls)
    assert sent < 20

    assert compare(old, new) == REFUSED  # it would begin again
    assert compare(old, new, "--resume") == EQUAL
    assert sorted(old.seen) == sorted(f"GET /users/{number}" for number in range(20))


def test_write_that_was_interrupted_is_never_sent_again(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = serving(People("old-")), serving(People("new-"))
    people({"method": "GET", "path": "/users/other"})
    arguments = ["--writes", *accept(capture={"POST /users": "userId"})]
    assert compare(old, new, *arguments) == EQUAL
    journal = Path("requests.journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    # Killed after the PUT was sent, while its result was being written.
    cut = next(number for number, line in enumerate(lines) if json.loads(line).get("started") == 3) + 1
    journal.write_text("".join(lines[:cut]) + lines[cut][:20])
    old.calls.clear()

    assert compare(old, new, *arguments, "--resume") == INCOMPLETE
    assert "line 3: the comparison was interrupted while it was sent" in capsys.readouterr().out
    assert old.seen == ["GET /users", "DELETE /users/old-00000000", "GET /users/old-00000000", "GET /users/other"]


def test_resume_judges_again_without_sending(serving: Serve) -> None:
    old, new = serving(always(1)), serving(always(2))
    requests("GET /users")
    assert compare(old, new) == DIFFERENT
    entry = {"route": "GET /users", "kind": "body", "path": "", "old": 1, "new": 2, "reason": "counts from 2"}
    assert compare(old, new, "--resume", *accept(entry)) == EQUAL
    assert len(old.calls) == len(new.calls) == 1


def test_write_without_a_response_is_not_sent_again(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    failing = [ConnectionError]

    def app(_: Call) -> Reply:
        if failing:
            raise failing.pop()
        return Reply(1)

    old, new = serving(always(1)), serving(app)
    requests("POST /users", "GET /users")
    assert compare(old, new, "--writes") == INCOMPLETE
    printed = capsys.readouterr()
    assert "sent no complete response to POST" in printed.out
    assert "Only the old API has responded to this write" in printed.out
    assert "--resume" not in printed.err
    assert compare(old, new, "--writes", "--resume") == INCOMPLETE
    assert old.seen == new.seen == ["POST /users", "GET /users"]


def test_ids_in_paths_are_encoded(serving: Serve) -> None:
    old, new = serving(always({"id": "a b/ü-1"})), serving(always({"id": "c d/ü-2"}))
    requests({"method": "POST", "path": "/x", "ids": {"id": "recorded"}}, "GET /x/recorded")
    assert compare(old, new, "--writes", *accept(capture={"POST /x": "id"})) == EQUAL
    assert (old.seen[1], new.seen[1]) == ("GET /x/a%20b%2F%C3%BC-1", "GET /x/c%20d%2F%C3%BC-2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty, so there is nothing to resume"),
        ("{}\n", "is not the journal of a comparison"),
        ("mine", "is not the journal of a comparison"),
        ("mine\n", "is not the journal of a comparison"),
        ("[]\n", "is not the journal of a comparison"),
        (
            '{"compares": {"old": "x"}}\n',
            "journal of another comparison, with other requests and old and new and writes",
        ),
    ],
)
def test_file_that_is_no_journal_of_this_comparison_is_refused_and_kept(
    serving: Serve, capsys: pytest.CaptureFixture[str], content: str, reason: str
) -> None:
    old, new = serving(always(1)), serving(always(1))
    requests("GET /users")
    Path("j").write_text(content)
    assert compare(old, new, "--resume", "--journal", "j") == REFUSED
    assert reason in capsys.readouterr().err
    assert (Path("j").read_text(), old.calls) == (content, [])


def test_file_that_is_no_journal_is_not_replaced(serving: Serve) -> None:
    old, new = serving(always(1)), serving(always(1))
    requests("GET /users")
    before = Path("requests.jsonl").read_text()
    assert compare(old, new, "--journal", "requests.jsonl") == REFUSED
    assert Path("requests.jsonl").read_text() == before


def test_damaged_results_of_a_journal_are_refused(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = serving(always(1)), serving(always(1))
    requests("GET /users")
    assert compare(old, new) == EQUAL
    journal = Path("requests.journal.jsonl")
    journal.write_text(journal.read_text() + '{"line": 1, "statuses": 3}\n')
    assert compare(old, new, "--resume") == REFUSED
    assert "is not the journal of a comparison" in capsys.readouterr().err


def test_second_comparison_with_the_same_journal_is_refused(serving: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []

    def app(_: Call) -> Reply:
        codes.append(compare(old.url, new_url[0], file="requests.jsonl"))
        return Reply(1)

    old = serving(always(1))
    new = serving(app)
    new_url = [new.url]
    requests("GET /users")
    assert compare(old, new) == EQUAL
    assert codes == [REFUSED]
    assert "another comparison is writing" in capsys.readouterr().err


# --- Refusals ---

LINES: dict[str, tuple[str, str]] = {
    "no JSON": ("GET /users", "requests.jsonl:2 is not JSON"),
    "no object": ("[]", "requests.jsonl:2: a line must be a JSON object"),
    "an unknown field": ('{"verb": "GET"}', "verb is not a field"),
    "another method": ('{"method": "get", "path": "/"}', "method must be one of DELETE, GET"),
    "no path": ('{"method": "GET"}', "path must begin with /"),
    "a URL": ('{"method": "GET", "path": "https://x/"}', "path must begin with /"),
    "a path with a space": ('{"method": "GET", "path": "/a b"}', "path must begin with /"),
    "a list of headers": ('{"method": "GET", "path": "/", "headers": []}', "headers must be an object of strings"),
    "a header with a newline": (
        '{"method": "GET", "path": "/", "headers": {"a": "b\\r\\nc: d"}}',
        "HTTP does not allow",
    ),
    "a secret": ('{"method": "GET", "path": "/", "headers": {"Cookie": "a"}}', "a recording holds no secrets"),
    "two bodies": ('{"method": "POST", "path": "/", "body": "a", "body_base64": "YQ=="}', "and not both"),
    "no base64": ('{"method": "POST", "path": "/", "body_base64": "?"}', "body_base64 is not base64"),
    "removed as text": ('{"method": "GET", "path": "/", "removed": "cookie"}', "removed must be a list"),
}


@pytest.mark.parametrize("case", LINES)
def test_line_that_is_no_request_is_refused_by_its_number(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    line, reason = LINES[case]
    Path("requests.jsonl").write_text(f'{{"method": "GET", "path": "/"}}\n{line}\n')
    assert compare("http://old", "http://new") == REFUSED
    assert reason in capsys.readouterr().err
    assert not Path("requests.journal.jsonl").exists()


ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "routes that do not exist": (["--routes", "none.json"], "none.json has no routes that can be read"),
    "routes of another kind": (["--routes", "requests.jsonl"], "has no routes that can be read"),
    "routes without any": (["--routes", "empty.tfvars"], "empty.tfvars has no routes"),
    "accepted differences that do not exist": (["--accepted", "none.yaml"], "none.yaml cannot be read"),
    "no clients": (["--clients", "0"], "--clients must be 1 to 64"),
    "too many clients": (["--clients", "65"], "--clients must be 1 to 64"),
    "no time": (["--timeout", "0"], "--timeout more than 0"),
    "a header without a variable": (["--header-env", "authorization"], "--header-env must be NAME=VARIABLE"),
    "a header without a value": (["--header-env", "authorization=UNSET_X"], "variable UNSET_X must have"),
    "a header that is none": (["--new-header-env", "a b=HOME"], "--new-header-env must be NAME=VARIABLE"),
    "a journal in no folder": (["--journal", "none/j"], "none/j cannot be written"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_argument_is_refused_with_a_reason(serving: Serve, capsys: pytest.CaptureFixture[str], case: str) -> None:
    arguments, reason = ARGUMENTS[case]
    Path("empty.tfvars").write_text("routes = {}\n")
    old, new = serving(always(1)), serving(always(1))
    requests("GET /users")
    assert compare(old, new, *arguments) == REFUSED
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert (old.calls, new.calls) == ([], [])


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_file_without_requests_is_refused(content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        Path("requests.jsonl").write_text(content)
    assert compare("http://old", "http://new") == REFUSED
    assert "requests.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("http://a/", "http://A", "are the same API"),
        ("https://a", "https://a:443/", "are the same API"),
        ("ftp://a", "http://b", "--old must be a URL"),
        ("http://a", "http://b?x=1", "--new must be a URL"),
        ("http://a..b", "http://b", "the old API cannot be compared: http://a..b cannot be reached"),
    ],
)
def test_urls_that_cannot_be_compared_are_refused(
    old: str, new: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    requests("GET /users")
    assert compare(old, new) == REFUSED
    assert reason in capsys.readouterr().err


# --- Library ---


def test_other_programs_get_the_result(serving: Serve) -> None:
    old, new = serving(always(1)), serving(always(2))
    file = Path(requests("GET /users", "GET /users"))
    result = comparison.compare(Options(file, old.url, new.url, quiet=True))
    assert (result.exit_code, result.compared, result.not_compared) == (DIFFERENT, 2, 0)
    ((route, found),) = result.unaccepted
    assert (route, found.count, str(found.difference)) == ("GET /users", 2, "body: 1 → 2")
    with pytest.raises(ComparisonError, match="--old must be a URL"):
        comparison.compare(Options(file, "old", new.url))


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], percent) for percent in (50, 99)] == [2.0, 4.0]
    assert percentile([7.0], 50) == 7.0
    assert percentile([], 50) is None


def test_request_without_an_id_is_known_by_its_line(tmp_path: Path) -> None:
    file = write_requests(tmp_path / "x.jsonl", "GET /a", {"method": "GET", "path": "/b", "id": "second"})
    assert [(each.line, each.id) for each in trace.load(file)] == [(1, ""), (2, "second")]
