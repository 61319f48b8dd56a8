"""The image by itself, as docs/service.md runs it: by Lambda's runtime emulator, without a gateway."""

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

NAME = "people-by-itself"


def test_the_image_answers_an_event_as_the_page_says(base_image: BaseImage) -> None:
    page = (ROOT / "docs/service.md").read_text()
    block = next(text for text in re.findall(r"```console\n(.*?)```", page, re.DOTALL) if "docker run" in text)
    # A base image that can be had here, a free port, and a name that is nobody else's.
    script = block.replace("docker build ", f"docker build --quiet --build-arg BASE_IMAGE={base_image.reference} ")
    script = re.sub(r"\bpeople\b(?!-)", NAME, script).replace("9000", str(free_port()))
    try:
        done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", NAME], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # The answer ends without a line's end.
    answer, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"status": "ok"}


@pytest.fixture(scope="module", params=["on", "off"])
def cold_start(request: pytest.FixtureRequest) -> str:
    """Whether the image has the optional stage."""
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def container(base_image: BaseImage, cold_start: str) -> Iterator[int]:
    """Yield the port of a container of the image, which calls no AWS."""
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
    """Return a function that has Lambda's runtime emulator invoke the function."""

    def ask(given: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:{container}/2015-03-31/functions/function/invocations"
        for attempt in range(100):
            try:
                with urllib.request.urlopen(url, json.dumps(given).encode(), timeout=30) as response:
                    answer: dict[str, Any] = json.load(response)
                    return answer
            except (ConnectionError, urllib.error.URLError):
                if attempt == 99:
                    raise
                time.sleep(0.1)
        raise AssertionError("not reached")

    return ask


def test_the_contract_is_the_same_on_the_images_python(invoke: Callable[[object], dict[str, Any]]) -> None:
    response = invoke(event("GET", "/openapi.json"))
    stated, committed = json.loads(response["body"]), json.loads((ROOT / "docs/openapi.json").read_text())
    stated["info"]["version"] = committed["info"]["version"]
    assert json.dumps(stated) == json.dumps(committed)  # in the same order as well


@pytest.mark.parametrize(("body", "status"), [("x" * (64 * 1024 + 1), 413), ("{}", 422)], ids=["413", "422"])
def test_a_problems_title_is_the_documents_on_the_images_python(
    invoke: Callable[[object], dict[str, Any]], body: str, status: int
) -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    response = invoke(event("POST", "/users", body))
    assert response["statusCode"] == status
    title = document["paths"]["/users"]["post"]["responses"][str(status)]["description"]
    assert json.loads(response["body"])["title"] == title


def test_the_handler_takes_the_ping_and_no_other_event(invoke: Callable[[object], dict[str, Any]]) -> None:
    assert invoke({"ping": True}) == {"pong": True}
    refused = invoke({"Records": []})
    assert refused["errorType"] == "UnsupportedEventError"
    assert "'Records'" in refused["errorMessage"]


def test_the_optional_stage_is_in_the_image_only_where_it_was_asked_for(
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
    assert "is not used" not in logs.stdout + logs.stderr  # which precompiled.bin would be with a fault
