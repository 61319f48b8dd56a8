"""docs/migrating.md, "Compare the answers": its commands run, and its examples and lists are true."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from migration import accepted, trace
from migration.comparison import DIFFERENT, EQUAL
from migration.difference import HEADERS
from sandbox import paths
from sandbox.emulator import free_port
from tests.migration.apis import Api, Call, People, Reply, serve

SECTION = (
    (paths.ROOT / "docs/migrating.md").read_text().partition("\n## Compare the answers\n")[2].partition("\n## ")[0]
)
COMMANDS = re.findall(r"^\$ (python -m migration .*)$", SECTION, re.MULTILINE)
PORT = "8080"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
    return str(found)


def below_prod(app: People) -> People:
    """Return the app below the stage /prod."""

    class Stage(People):
        def __call__(self, call: Call) -> Reply:
            return app(Call(call.method, call.path.removeprefix("/prod"), call.headers, call.body))

    return Stage("")


@pytest.fixture
def sides() -> Iterator[dict[str, Api]]:
    """The URLs of the page's variables, each of an API of its own."""
    with ExitStack() as stack:
        apis = {name: stack.enter_context(serve(below_prod(People("old-")))) for name in ("OLD", "OLD_ON_A_COPY")}
        yield apis | {name: stack.enter_context(serve(People("new-"))) for name in ("NEW", "NEW_ON_A_COPY")}


class Shell:
    """Runs the page's commands in a folder."""

    def __init__(self, folder: Path, sides: dict[str, Api]) -> None:
        urls = {name: f"{api.url}/prod" if name.startswith("OLD") else api.url for name, api in sides.items()}
        path = f"{paths.environment('dev')}{os.pathsep}{os.environ['PATH']}"
        self.folder = folder
        self.environment = urls | {
            "PATH": path,
            "PYTHONPATH": str(paths.ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AUTHORIZATION": "Bearer x",
        }

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE
        )

    def run(self, command: str) -> tuple[int, str]:
        process = self.start(command)
        text, _ = process.communicate(timeout=60)
        return process.returncode, text


def test_commands_of_the_page_run(sides: dict[str, Api], tmp_path: Path) -> None:
    logs, through_proxy, reads, writes, propose, accept = COMMANDS
    shell = Shell(tmp_path, sides)

    (tmp_path / "access.log").write_text(json.dumps({"httpMethod": "GET", "path": "/prod/users"}) + "\n")
    assert shell.run(logs)[0] == EQUAL
    assert [each.path for each in trace.load(tmp_path / "reads.jsonl")] == ["/users"]

    port = str(free_port())
    process = shell.start(through_proxy.replace(PORT, port))
    assert process.stdout
    assert f":{port} forwards to" in process.stdout.readline()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    for method, path in (("POST", "/users"), ("GET", "/users"), ("GET", "/users/old-00000000")):
        connection.request(method, path, '{"name": "Ada"}' if method == "POST" else None, {"authorization": "Bearer x"})
        assert connection.getresponse().read()
    connection.close()
    process.send_signal(signal.SIGINT)
    assert "3 requests recorded" in process.communicate(timeout=20)[0]

    (tmp_path / "inventory").mkdir()
    keys = ("GET /users", "POST /users", "GET /users/{id}")
    routes = {"apis": [{"routes": [{"key": key} for key in keys]}]}
    (tmp_path / "inventory/inventory.json").write_text(json.dumps(routes))
    # The user was added to the old API only.
    code, text = shell.run(reads)
    assert (code, "GET /users/{id}: status: 200 → 404" in text) == (DIFFERENT, True)

    differences = tmp_path / "differences.yaml"
    differences.write_text("capture:\n  POST /users: userId\n")
    code, text = shell.run(writes)
    assert (code, "3 requests compared: 3 equal" in text) == (EQUAL, True)

    differences.unlink()
    assert shell.run(propose)[0] == DIFFERENT
    differences.write_text(differences.read_text().replace("reason: ''", "reason: the user is in one API only"))
    sent = len(sides["NEW"].calls)
    assert (shell.run(accept)[0], len(sides["NEW"].calls)) == (EQUAL, sent)


def test_example_of_requests_is_read(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(block("json"))
    read = trace.load(file)
    assert [each.method for each in read] == ["GET", "POST", "PUT", "GET"]
    assert (read[1].ids, read[3].removed) == ({"userId": "user-of-this-file"}, ())


def test_page_explains_each_field_of_a_request() -> None:
    rows = SECTION.partition("| Field | Content |")[2].partition("\n\n")[0]
    assert trace.FIELDS - set(re.findall(r"`(\w+)`", rows)) == set()


def test_example_of_accepted_differences_is_read(tmp_path: Path) -> None:
    file = tmp_path / "differences.yaml"
    file.write_text(block("yaml"))
    read = accepted.load(file)
    assert (len(read.entries), read.capture) == (2, {"POST /users": "userId"})


def test_page_lists_the_headers_that_are_compared() -> None:
    (row,) = re.findall(r"^\| headers \| (the value .*); (whether .*?)\. ", SECTION, re.MULTILINE)
    listed = {kind: set(re.findall(r"`([\w-]+)`", text)) for kind, text in zip(("value", "presence"), row, strict=True)}
    assert listed == {
        kind: {name for name, (compared, _) in HEADERS.items() if compared == kind} for kind in ("value", "presence")
    }


def test_accepted_differences_of_the_example_are_read() -> None:
    assert accepted.load(paths.ROOT / "examples/legacy-lambdas/accepted-differences.yaml").entries
