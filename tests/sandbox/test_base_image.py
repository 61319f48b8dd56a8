"""What a Dockerfile and Lambda's runtime need of the base image, AWS's or the stand-in."""

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
    name = f"localhost:{emulator.port}/base-image-test"
    (tmp_path / "app.py").write_text(HANDLER)
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_image.reference}\nRUN pip --version && python -m pip --version\n"
        'COPY app.py ${LAMBDA_TASK_ROOT}/\nUSER 1000\nCMD ["app.handler"]\n'
    )
    docker("build", "--quiet", "--tag", name, str(tmp_path))
    yield name
    docker("rmi", "--force", name)


@pytest.mark.engine
def test_handler_runs_as_another_user(image: str) -> None:
    container = docker("run", "--detach", "--rm", "--publish", "127.0.0.1::8080", image).strip()
    try:
        port = docker("port", container, "8080").split(":")[-1].strip()
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url, data=b'{"a": 1}', timeout=30) as response:
                    result = json.loads(response.read())
                break
            except OSError:
                assert time.monotonic() < deadline, docker("logs", container)
                time.sleep(0.1)
    finally:
        docker("rm", "--force", container)
    assert result == {"event": {"a": 1}, "python": [3, 13], "user": 1000, "folder": "/var/task"}


@pytest.mark.engine
def test_runtime_has_every_shared_library(base_image: BaseImage) -> None:
    if base_image.kind == "real":
        pytest.skip("AWS's own image")
    imports = "import runtime_client, bz2, ctypes, decimal, hashlib, lzma, sqlite3, ssl, uuid, zlib, zoneinfo"
    docker("run", "--rm", "--entrypoint", "python", base_image.reference, "-c", imports)


@pytest.mark.engine
def test_second_ensure_changes_nothing(base_image: BaseImage) -> None:
    before = docker("image", "inspect", "--format", "{{.Id}}", base_image.reference)
    assert base_images.ensure(Step("Base image")) == base_image
    assert docker("image", "inspect", "--format", "{{.Id}}", base_image.reference) == before


def test_only_apts_mirror_for_this_release_is_used(
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


def test_hanging_registry_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> None:
        released.wait(30)
        raise OSError("timed out")

    monkeypatch.setattr(base_images, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(urllib.request, "urlopen", hang)
    begin = time.monotonic()
    assert base_images._reachable("registry.example.org") is False
    assert time.monotonic() - begin < 5
    # The thread must not outlive this test.
    released.set()


def test_registry_that_returns_401_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unauthorized(url: str, timeout: float) -> None:
        raise urllib.error.HTTPError(url, 401, "Unauthorized", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", unauthorized)
    assert base_images._reachable("registry.example.org") is True


@pytest.mark.engine
def test_remove_keeps_images_that_it_did_not_pull(
    base_image: BaseImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(base_images, "STAND_IN", "own-stand-in:3.13")
    monkeypatch.setattr(base_images, "REAL", "own-real:3.13")
    monkeypatch.setattr(base_images, "RECIPE_LABEL", "of-no-image")
    monkeypatch.setattr(base_images, "PULLED", tmp_path / "pulled")
    for name in ("own-stand-in:3.13", "own-real:3.13"):
        docker("tag", base_image.reference, name)
    assert base_images.remove() == 1
    assert docker("images", "--quiet", "own-stand-in") == ""
    assert docker("images", "--quiet", "own-real") != ""
    base_images.PULLED.touch()
    assert base_images.remove() == 1
    assert docker("images", "--quiet", "own-real") == ""
    assert not base_images.PULLED.exists()
