"""The base image, AWS's or the stand-in: what a Dockerfile and Lambda's runtime rely on."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from sandbox import base_image as base_images
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import docker
from sandbox.progress import Step

HANDLER = """
import os, ssl, sys

import awslambdaric


def handler(event, context):
    return {"event": event, "python": list(sys.version_info[:2]), "user": os.getuid(), "folder": os.getcwd()}
"""


@pytest.fixture
def image(base_image: BaseImage, emulator: Emulator, tmp_path: Path) -> Iterator[str]:
    name = f"localhost:{emulator.port}/base-image-try"
    (tmp_path / "app.py").write_text(HANDLER)
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_image.reference}\nRUN pip --version && python -m pip --version\n"
        'COPY app.py ${LAMBDA_TASK_ROOT}/\nUSER 1000\nCMD ["app.handler"]\n'
    )
    docker("build", "--quiet", "--tag", name, str(tmp_path))
    yield name
    docker("rmi", "--force", name)


@pytest.mark.engine
def test_a_handler_on_it_answers_the_runtime_interface_emulator_as_another_user(image: str) -> None:
    container = docker("run", "--detach", "--rm", "--publish", "127.0.0.1::8080", image).strip()
    try:
        port = docker("port", container, "8080").split(":")[-1].strip()
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url, data=b'{"a": 1}', timeout=30) as answer:
                    result = json.loads(answer.read())
                break
            except OSError:
                assert time.monotonic() < deadline, docker("logs", container)
                time.sleep(0.1)
    finally:
        docker("rm", "--force", container)
    assert result == {"event": {"a": 1}, "python": [3, 13], "user": 1000, "folder": "/var/task"}


@pytest.mark.engine
def test_every_shared_library_of_the_runtime_is_there(base_image: BaseImage) -> None:
    if base_image.kind == "real":
        pytest.skip("AWS's own image is AWS's to test")
    imports = "import runtime_client, bz2, ctypes, decimal, hashlib, lzma, sqlite3, ssl, uuid, zlib, zoneinfo"
    docker("run", "--rm", "--entrypoint", "python", base_image.reference, "-c", imports)


@pytest.mark.engine
def test_a_second_ensure_makes_nothing(base_image: BaseImage) -> None:
    before = docker("image", "inspect", "--format", "{{.Id}}", base_image.reference)
    assert base_images.ensure(Step("Base image")) == base_image
    assert docker("image", "inspect", "--format", "{{.Id}}", base_image.reference) == before


def test_the_mirror_of_this_machines_apt_is_taken_and_no_other_repository_of_its(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = (
        "stable main https://packages.example.org/\nbookworm stable https://docker.example.org/\n"
        "bookworm-security main http://debian.example.org/security/\nbookworm main http://debian.example.org/debian/\n"
    )
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, targets))
    assert base_images._mirror() == ["http://debian.example.org/debian/"]
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "ubuntu", "VERSION_CODENAME": "noble"})
    assert base_images._mirror() == []


def test_a_registry_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> None:
        released.wait(30)
        raise OSError("no answer")

    monkeypatch.setattr(base_images, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(urllib.request, "urlopen", hang)
    begin = time.monotonic()
    assert base_images._answers("registry.example.org") is False
    assert time.monotonic() - begin < 5
    # The thread that asks must not outlive this test.
    released.set()


def test_a_registry_that_asks_for_a_login_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def unauthorized(url: str, timeout: float) -> None:
        raise urllib.error.HTTPError(url, 401, "Unauthorized", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", unauthorized)
    assert base_images._answers("registry.example.org") is True


@pytest.mark.engine
def test_it_removes_what_it_brought_and_no_image_that_was_there(
    base_image: BaseImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(base_images, "STAND_IN", "brought-stand-in:3.13")
    monkeypatch.setattr(base_images, "REAL", "brought-real:3.13")
    monkeypatch.setattr(base_images, "RECIPE_LABEL", "of-no-image")
    monkeypatch.setattr(base_images, "PULLED", tmp_path / "pulled")
    for name in ("brought-stand-in:3.13", "brought-real:3.13"):
        docker("tag", base_image.reference, name)
    assert base_images.remove() == 1
    assert docker("images", "--quiet", "brought-stand-in") == ""
    assert docker("images", "--quiet", "brought-real") != ""
    base_images.PULLED.touch()
    assert base_images.remove() == 1
    assert docker("images", "--quiet", "brought-real") == ""
    assert not base_images.PULLED.exists()
