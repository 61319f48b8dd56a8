"""The image in Lambda's runtime interface emulator, without a gateway, as docs/service.md runs it."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.base_image import BaseImage
from sandbox.emulator import free_port
from sandbox.engine import docker
from sandbox.paths import ROOT
from tests.service.test_handler import event

NAME = "people-image"


def test_documented_docker_run_works(base_image: BaseImage) -> None:
    page = (ROOT / "docs/service.md").read_text()
    block = next(text for text in re.findall(r"```console\n(.*?)```", page, re.DOTALL) if "docker run" in text)
    # Use the base image of this run, a free port and a unique name.
    script = block.replace("docker build ", f"docker build --quiet --build-arg BASE_IMAGE={base_image.reference} ")
    script = re.sub(r"\bpeople\b(?!-)", NAME, script).replace("9000", str(free_port()))
    try:
        done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", NAME], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # The response does not end with a newline.
    response, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))
    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == {"status": "ok"}


@pytest.fixture(scope="module", params=["on", "off"])
def cold_start(request: pytest.FixtureRequest) -> str:
    """Whether the image contains the optional cold start code."""
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def container(base_image: BaseImage, cold_start: str) -> Iterator[int]:
    """Yield the port of a container of the image. Its tests make no AWS requests."""
    name, port = f"{NAME}-{cold_start}", free_port()
    arguments = ["--build-arg", f"BASE_IMAGE={base_image.reference}", "--build-arg", f"COLD_START={cold_start}"]
    try:
        docker("build", "--quiet", *arguments, "--tag", name, "--file", str(ROOT / "Dockerfile"), str(ROOT / "service"))
        environment = ["--env", "TABLE_NAME=none", "--env", "AWS_DEFAULT_REGION=eu-central-1"]
        docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8080", *environment, name)
        yield port
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def invoke(container: int) -> Callable[[object], dict[str, Any]]:
    """Return a function that invokes the handler with an event."""

    def send(event: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:{container}/2015-03-31/functions/function/invocations"
        for attempt in range(100):
            try:
                with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=30) as response:
                    result: dict[str, Any] = json.load(response)
                    return result
            except (ConnectionError, urllib.error.URLError):
                if attempt == 99:
                    raise
                time.sleep(0.1)
        raise AssertionError("not reached")

    return send


def test_openapi_document_is_the_same_in_the_image(invoke: Callable[[object], dict[str, Any]]) -> None:
    response = invoke(event("GET", "/openapi.json"))
    served, committed = json.loads(response["body"]), json.loads((ROOT / "docs/openapi.json").read_text())
    served["info"]["version"] = committed["info"]["version"]
    assert json.dumps(served) == json.dumps(committed)  # compares the order, too


@pytest.mark.parametrize(("body", "status"), [("x" * (64 * 1024 + 1), 413), ("{}", 422)], ids=["413", "422"])
def test_problem_title_matches_the_openapi_document_in_the_image(
    invoke: Callable[[object], dict[str, Any]], body: str, status: int
) -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    response = invoke(event("POST", "/users", body))
    assert response["statusCode"] == status
    title = document["paths"]["/users"]["post"]["responses"][str(status)]["description"]
    assert json.loads(response["body"])["title"] == title


def test_handler_accepts_only_http_events_and_the_ping(invoke: Callable[[object], dict[str, Any]]) -> None:
    assert invoke({"ping": True}) == {"pong": True}
    error = invoke({"Records": []})
    assert error["errorType"] == "UnsupportedEventError"
    assert "'Records'" in error["errorMessage"]


def test_image_contains_the_cold_start_code_only_if_enabled(
    invoke: Callable[[object], dict[str, Any]], cold_start: str
) -> None:
    invoke({"ping": True})
    script = """
import importlib.util, os
from pathlib import Path
stage = Path("service/aws_lambda/cold_start")
print(sorted(path.name for path in stage.glob("*.*")), len(os.listdir("botocore/data")) < 20)
"""
    listed = docker("exec", f"{NAME}-{cold_start}", "python", "-c", script).strip()
    files = ["__init__.py", "precompiled.bin", "precompiled.py", "startup.py"] if cold_start == "on" else []
    assert listed == f"{files} {cold_start == 'on'}"
    logs = subprocess.run(["docker", "logs", f"{NAME}-{cold_start}"], capture_output=True, text=True, check=True)
    assert "is not used" not in logs.stdout + logs.stderr  # the warning about an unusable precompiled.bin


@pytest.mark.usefixtures("container")
def test_runtime_client_runs_the_snap_start_hooks(cold_start: str) -> None:
    command = ["docker", "exec", "--interactive", f"{NAME}-{cold_start}", "python", "-"]
    script = (ROOT / "tests/e2e/runtime_api.py").read_text()
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    calls = done.stdout.splitlines()
    assert calls[:5] == [
        "before_snapshot",
        "GET restore/next",
        "after_restore",
        "GET invocation/next",
        'POST invocation/1/response {"pong": true}',
    ], done.stderr
