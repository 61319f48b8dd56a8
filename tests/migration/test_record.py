"""Requests are recorded from access logs and through a proxy, without secrets, and gaps are named."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration import progress, proxy, redaction, trace
from migration.__main__ import main
from migration.client import Target
from migration.record import COMPLETE, FAILED, INCOMPLETE
from migration.trace import RecordedRequest
from sandbox.paths import ROOT
from tests.migration.apis import Api, Call, Reply, serve

ENTRY = {"httpMethod": "GET", "path": "/prod/users/42", "status": "200", "requestTime": "29/Nov/2026:08:00:00 +0000"}
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


def log(folder: Path, *lines: str | dict[str, Any], name: str = "access.log") -> Path:
    """Write an access log."""
    file = folder / name
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


def record(folder: Path, *arguments: object) -> tuple[int, list[RecordedRequest]]:
    """Run the command; return its exit code and what it recorded."""
    out = folder / "requests.jsonl"
    code = main(["record", *map(str, arguments), "--out", str(out)])
    return code, trace.load(out) if out.exists() else []


# --- Access logs ---


def test_modules_access_log_is_read(tmp_path: Path) -> None:
    source = (ROOT / "modules/lambda_container_api/observability.tf").read_text()
    fields = re.findall(r'^    (\w+) += "\$context\.', source, re.MULTILINE)
    values = {"httpMethod": "GET", "path": "/users/42", "routeKey": "GET /users/{userId}"}
    entry = {name: values.get(name, "-") for name in fields}
    assert values.keys() <= entry.keys()

    code, (request,) = record(tmp_path, "--access-log", log(tmp_path, entry))
    assert (code, request.method, request.path) == (COMPLETE, "GET", "/users/42")


FORMATS = {
    "JSON of a REST API": '{"requestId": "1", "ip": "1.2.3.4", "httpMethod": "GET", "resourcePath": "/users", "status": "200"}',
    "JSON of an HTTP API": '{"requestId": "1", "httpMethod": "GET", "routeKey": "GET /users", "status": "200"}',
    "JSON with the route only": '{"requestId": "1", "routeKey": "GET /users"}',
    "the common log format": '1.2.3.4 - - [29/Nov/2026:08:00:00 +0000] "GET /users HTTP/1.1" 200 12 abc=',
    "the common log format of an HTTP API": '1.2.3.4 - - [29/Nov/2026:08:00:00 +0000] "GET GET /users HTTP/1.1" 200 12 abc=',
    "an export of CloudWatch Logs": '2026-11-29T08:00:00.000Z {"httpMethod": "GET", "path": "/users"}',
    "aws logs tail": '2026-11-29T08:00:00.000000+00:00 1234_abc {"httpMethod": "GET", "path": "/users"}',
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["access.log", "access.log.gz"])
def test_formats_of_access_logs_are_read(tmp_path: Path, form: str, name: str) -> None:
    code, requests = record(tmp_path, "--access-log", log(tmp_path, FORMATS[form], name=name))
    assert (code, [(request.method, request.path) for request in requests]) == (COMPLETE, [("GET", "/users")])


def test_writes_are_counted_since_an_access_log_has_no_bodies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [ENTRY | {"httpMethod": method} for method in ("GET", "POST", "PUT", "POST", "HEAD", "OPTIONS")]
    code, requests = record(tmp_path, "--access-log", log(tmp_path, *entries))
    assert (code, [request.method for request in requests]) == (COMPLETE, ["GET", "HEAD"])
    assert "no body in an access log, and no headers: 1 OPTIONS, 2 POST, 1 PUT" in capsys.readouterr().out


GAPS: dict[str, tuple[str | dict[str, Any], str]] = {
    "text": ("something else", "neither JSON nor the common log format"),
    "cut off": ('{"httpMethod": "GET", "pa', "neither JSON nor the common log format"),
    "the route only": ({"routeKey": "GET /users/{userId}"}, "the route, not the path"),
    "the default route": ({"httpMethod": "GET", "routeKey": "$default"}, "the route, not the path"),
    "no path": (ENTRY | {"path": "-"}, "no path"),
    "another method": (ENTRY | {"httpMethod": "BREW"}, "none of HTTP's"),
}


@pytest.mark.parametrize("case", GAPS)
def test_line_that_is_no_request_is_named_and_the_others_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    line, reason = GAPS[case]
    file = log(tmp_path, ENTRY, line, line, ENTRY)
    code, requests = record(tmp_path, "--access-log", file)
    assert (code, len(requests)) == (INCOMPLETE, 2)
    error = capsys.readouterr().err
    assert "2 gaps" in error
    assert f"{file}:2-3: " in error
    assert reason in error
    # Lines may hold secrets.
    assert "something else" not in error


def test_hole_of_a_rotated_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(b"\0" * 4096 + json.dumps(ENTRY).encode() + b"\n" + json.dumps(ENTRY).encode() + b"\n")
    code, requests = record(tmp_path, "--access-log", file)
    assert (code, len(requests)) == (INCOMPLETE, 2)
    assert f"{file}:1: a hole of NUL bytes" in capsys.readouterr().err


def test_compressed_file_that_ends_early_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [ENTRY | {"requestId": base64.b64encode(str(number**9).encode()).decode()} for number in range(3000)]
    whole = log(tmp_path, *entries, name="access.log.gz")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, requests = record(tmp_path, "--access-log", whole)
    assert code == INCOMPLETE
    assert 0 < len(requests) < 3000
    assert re.search(r"access\.log\.gz:\d+: the file cannot be read to its end", capsys.readouterr().err)


def test_missing_file_of_a_rotation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [log(tmp_path, ENTRY, name=f"access.log.{number}") for number in (1, 2, 4)]
    code, requests = record(tmp_path, "--access-log", *files)
    assert (code, len(requests)) == (INCOMPLETE, 3)
    assert f"{tmp_path}/access.log.3: missing between the rotated files" in capsys.readouterr().err


def test_base_path_is_removed_and_other_paths_are_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path, ENTRY, ENTRY | {"path": "/prod"}, ENTRY | {"path": "/production/users"})
    code, requests = record(tmp_path, "--access-log", file, "--base-path", "/prod/")
    assert (code, [request.path for request in requests]) == (INCOMPLETE, ["/users/42", "/"])
    assert "access.log:3: its path is not below /prod" in capsys.readouterr().err


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", -1)
    record(tmp_path, "--access-log", log(tmp_path, ENTRY, "nothing", ENTRY))
    assert "2 requests recorded, 1 gaps\n" in capsys.readouterr().err


def test_unique_requests_are_recorded_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = record(tmp_path, "--unique", "--access-log", log(tmp_path, *[ENTRY] * 5))
    assert (code, len(requests)) == (COMPLETE, 1)
    assert "4 repeated ones left out" in capsys.readouterr().out


def test_path_of_a_log_is_encoded_and_has_no_secret(tmp_path: Path) -> None:
    entry = ENTRY | {"path": "/ü s/%20?token=hunter2&page=1&nextToken=abc"}
    _, (request,) = record(tmp_path, "--access-log", log(tmp_path, entry))
    assert request.path == "/%C3%BC%20s/%20?token=REMOVED&page=1&nextToken=abc"


@pytest.mark.parametrize("lines", [["nothing"], [ENTRY | {"httpMethod": "POST"}]])
def test_log_without_a_request_to_record_writes_no_file(tmp_path: Path, lines: list[Any]) -> None:
    assert record(tmp_path, "--access-log", log(tmp_path, *lines)) == (FAILED, [])
    assert not (tmp_path / "requests.jsonl").exists()


REFUSED = {
    "a log that does not exist": (["--access-log", "missing.log"], "missing.log is not a file"),
    "a log and an API": (["--access-log", "a.log", "--to", "http://x"], "an access log needs none"),
    "a proxy without an API": (["--proxy", "0"], "--proxy needs --to URL"),
    "a proxy with a base path": (["--proxy", "0", "--to", "http://x", "--base-path", "/x"], "no --base-path"),
    "a base path without a slash": (["--access-log", "a.log", "--base-path", "prod"], "--base-path must begin with /"),
    "an API that is no URL": (["--proxy", "0", "--to", "orders"], "--to must be a URL"),
    "an API with a bad port": (["--proxy", "0", "--to", "http://x:y"], "--to http://x:y is not a URL"),
    "an API with a password": (["--proxy", "0", "--to", "http://a:hunter2@x"], "--to contains credentials"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    arguments, reason = REFUSED[case]
    assert record(tmp_path, *arguments) == (FAILED, [])
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert "hunter2" not in error
    assert not (tmp_path / "requests.jsonl").exists()


def test_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requests.jsonl").write_text("mine")
    code = main(["record", "--access-log", str(log(tmp_path, ENTRY)), "--out", str(tmp_path / "requests.jsonl")])
    assert (code, (tmp_path / "requests.jsonl").read_text()) == (FAILED, "mine")
    assert "exists" in capsys.readouterr().err


# --- Proxy ---


@contextmanager
def recording(to: str) -> Iterator[tuple[http.client.HTTPConnection, list[RecordedRequest], list[str]]]:
    """Run a proxy; return a connection to it, what it records, and what it says."""
    recorded: list[RecordedRequest] = []
    said: list[str] = []
    with proxy.RecordingProxy(0, Target.parse(to, "--to"), recorded.append, said.append) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        try:
            yield connection, recorded, said
        finally:
            connection.close()
            server.shutdown()
            thread.join()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


@pytest.fixture
def echo() -> Iterator[Api]:
    def app(call: Call) -> Reply:
        if call.path.startswith("/stage/fail"):
            raise ConnectionError
        return Reply({"userId": "u-1234567", "sessionId": "s-1", "at": {"groupId": 77}, "n": 1}, 201, {"x-kept": "yes"})

    with serve(app) as api:
        yield api


def test_proxy_forwards_everything_and_records_it_without_secrets(echo: Api) -> None:
    body = json.dumps({"name": "Ada", "password": "hunter2", "nested": [{"accessToken": "hunter2"}]})
    secrets = {"Authorization": "Bearer hunter2", "Cookie": "a=hunter2", "X_Api_Key": "hunter2"}
    with recording(f"{echo.url}/stage") as (connection, recorded, _):
        sent = secrets | {"Content_Type": "application/json", "Idempotency_Key": "k1", "X_Forwarded_For": "1.2.3.4"}
        sent |= {"Accept_Encoding": "gzip"}
        status, content, headers = ask(connection, "POST", "/users?sig=hunter2&limit=3", body, **sent)

    assert (status, json.loads(content)["userId"], headers["x-kept"]) == (201, "u-1234567", "yes")
    (call,) = echo.calls
    assert (call.method, call.path, call.body.decode()) == ("POST", "/stage/users?sig=hunter2&limit=3", body)
    # Of compressed responses, ids could not be read.
    assert call.headers["accept-encoding"] == "identity"
    assert (call.headers["authorization"], call.headers["host"]) == ("Bearer hunter2", urlsplit(echo.url).netloc)
    (request,) = recorded
    assert (request.method, request.path) == ("POST", "/users?sig=REMOVED&limit=3")
    assert request.headers == {"content-type": "application/json", "idempotency-key": "k1"}
    assert request.removed == ("authorization", "cookie", "x-api-key")
    assert json.loads(request.body)["name"] == "Ada"
    assert request.ids == {"userId": "u-1234567", "at.groupId": "77"}
    assert "hunter2" not in request.as_line()


def test_recorded_line_is_read_as_the_same_request(echo: Api, tmp_path: Path) -> None:
    with recording(echo.url) as (connection, recorded, _):
        ask(connection, "PUT", "/files/1", b"\x00\xff", Content_Type="image/png")
        ask(connection, "POST", "/users", "name=Ada&password=hunter2", Content_Type="application/x-www-form-urlencoded")
        ask(connection, "DELETE", "/users/1")
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(request.as_line() for request in recorded))
    read = trace.load(file)
    assert [(each.method, each.path, each.body) for each in read] == [
        ("PUT", "/files/1", b"\x00\xff"),
        ("POST", "/users", b"name=Ada&password=REMOVED"),
        ("DELETE", "/users/1", b""),
    ]
    assert [each.ids for each in read] == [each.ids for each in recorded]


def test_proxy_reads_chunked_bodies_and_repeated_headers(echo: Api) -> None:
    with recording(echo.url) as (connection, recorded, _):
        connection.putrequest("POST", "/users")
        for name, value in (("Transfer-Encoding", "chunked"), ("Accept", "a/b"), ("Accept", "c/d")):
            connection.putheader(name, value)
        connection.endheaders(iter([b"Hel", b"lo"]), encode_chunked=True)
        assert connection.getresponse().read()
    assert (echo.calls[0].body, echo.calls[0].headers["accept"]) == (b"Hello", "a/b, c/d")
    assert (recorded[0].body, recorded[0].headers["accept"]) == (b"Hello", "a/b, c/d")


def test_proxy_responds_to_head_with_the_length_and_no_body(echo: Api) -> None:
    with recording(echo.url) as (connection, recorded, _):
        status, content, headers = ask(connection, "HEAD", "/users")
        assert (status, content) == (201, b"")
        assert int(headers["content-length"]) > 0
        assert ask(connection, "GET", "/users")[0] == 201  # on the same connection
    assert [request.method for request in recorded] == ["HEAD", "GET"]


def test_request_without_a_response_is_not_recorded_but_named(echo: Api) -> None:
    with recording(f"{echo.url}/stage") as (connection, recorded, said):
        status, content, _ = ask(connection, "GET", "/fail?token=hunter2")
    assert (status, recorded) == (502, [])
    assert b"the API did not respond" in content
    assert said[0].startswith("not recorded: GET without a response")
    assert "hunter2" not in said[0]


@pytest.mark.parametrize("length", ["-1", str(proxy.LARGEST_BODY + 1), "many"])
def test_proxy_refuses_bodies_that_the_gateway_would_not_take(echo: Api, length: str) -> None:
    with recording(echo.url) as (connection, recorded, _):
        connection.putrequest("POST", "/users")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 400
    assert (recorded, echo.calls) == ([], [])


def test_proxy_command_records_until_it_is_interrupted(echo: Api, tmp_path: Path) -> None:
    out = tmp_path / "requests.jsonl"
    command = ["record", "--proxy", "0", "--to", echo.url, "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "migration", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+) forwards", process.stdout.readline())[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    ask(connection, "GET", "/users", Authorization=f"Bearer {JWT}")
    connection.close()
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=20)
    assert (process.returncode, f"1 requests recorded in {out}" in text) == (COMPLETE, True)
    assert JWT not in out.read_text()
    assert out.stat().st_mode & 0o077 == 0


def test_port_that_is_in_use_is_refused(echo: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert record(tmp_path, "--proxy", port, "--to", echo.url) == (FAILED, [])
    assert f"cannot listen on port {port}" in capsys.readouterr().err
    assert not (tmp_path / "requests.jsonl").exists()


# --- Secrets ---

SECRET_HEADERS = ["Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token"]
SECRET_FIELDS = ["token", "access_token", "X-Amz-Signature", "api_key", "apiKey", "newPassword", "client_secret", "sig"]
plain = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=8)
names = st.text(max_size=5).filter(lambda name: not redaction.is_secret_name(name))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    header=st.sampled_from(SECRET_HEADERS),
    name=st.sampled_from(SECRET_FIELDS),
    secret=st.from_regex(r"[A-Z]{4}[0-9]{8}", fullmatch=True),
    other=json_values,
    query=st.dictionaries(plain.filter(bool), plain, max_size=3),
    form=st.booleans(),
)
def test_secrets_are_never_in_a_record(
    header: str, name: str, secret: str, other: Any, query: dict[str, str], *, form: bool
) -> None:
    pairs = [f"{quote_plus(key)}={quote_plus(value)}" for key, value in query.items()]
    fields = "&".join([*pairs, f"{name}={secret}"])
    content_type = "application/x-www-form-urlencoded" if form else "application/json"
    body = fields if form else json.dumps([other, {"inner": {name: [secret]}}])
    headers = {header: secret, "content-type": content_type, "x-trace": f"of {JWT}"}
    request = proxy.recorded("POST", f"/users?{fields}", headers, body.encode(), b"{}")
    assert secret not in request.as_line()
    assert JWT not in request.as_line()
    assert request.removed == (header.lower(),)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"note": [f"of {JWT}"]})),
        ("application/x-www-form-urlencoded", f"note={JWT}"),
        ("text/plain", f"Dear {JWT}!"),
        ("", f"{{not JSON {JWT}"),
    ],
)
def test_json_web_tokens_are_replaced_wherever_they_are(content_type: str, body: str) -> None:
    request = proxy.recorded("POST", f"/{JWT}?a={JWT}", {"content-type": content_type}, body.encode(), b"{}")
    assert JWT not in request.as_line()
    assert request.path == "/REMOVED?a=REMOVED"
    assert b"REMOVED" in request.body


@settings(deadline=None)
@given(json_values)
def test_body_without_secrets_is_recorded_as_it_is(value: Any) -> None:
    body = json.dumps(value, indent=3).encode()
    assert redaction.body(body, "application/json") == body


def test_tokens_of_pages_are_no_secrets() -> None:
    path = "/users?nextToken=abc&pageToken=1&lastKey=x&continuation_token=z&flag"
    assert redaction.path(path) == path
