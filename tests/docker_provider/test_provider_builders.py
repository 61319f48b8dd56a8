"""Which docker command builds, and how it is called."""

from pathlib import Path
from typing import Any

import pytest
from tf.iface import CreateContext
from tf.utils import Diagnostics

from sandbox.docker_provider import provider
from sandbox.docker_provider.engine import BUILDKIT, BUILDX, LEGACY, Builder, EngineError, choose_builder
from sandbox.docker_provider.provider import DockerProvider, RegistryImage
from sandbox.docker_provider.registry import INDEXES, ImageName, Manifest
from tests.docker_provider.workspace import DIGEST

BUILD: dict[str, Any] = {
    "context": "../service",
    "dockerfile": "../Dockerfile",
    "remove": True,
    "target": "slim",
    "build_args": {"B": "2", "A": "1"},
    "label": {"team": "ours"},
    "no_cache": True,
    "pull_parent": False,
    "cache_from": ["app:cache"],
    "extra_hosts": [],
    "network_mode": "",
    "secrets": [{"id": "token", "src": "token.txt", "env": ""}, {"id": "key", "src": "", "env": "KEY"}],
}
COMMON = [
    *("--tag", "app:1", "--target", "slim", "--no-cache"),
    *("--build-arg", "A=1", "--build-arg", "B=2", "--label", "team=ours", "--cache-from", "app:cache"),
]
SECRETS = ["--secret", "id=token,src=token.txt", "--secret", "id=key,env=KEY"]
PATHS = ["--file", "../service/../Dockerfile", "../service"]


def docker_command(folder: Path, version: str, *, buildx: bool) -> str:
    """A docker command of some version that can only tell what it is."""
    folder.mkdir()
    script = folder / "docker"
    answer = "echo buildx v0.12" if buildx else "exit 1"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in\nbuildx) {answer};;\n--version) echo "Docker version {version}, build 1";;\nesac\n'
    )
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (("28.2.2", True), ("20.10.24", False), ("first", BUILDX)),
        (("20.10.24", False), ("28.2.2", True), ("second", BUILDX)),
        (("28.2.2", False), ("20.10.24+dfsg1", False), ("second", BUILDKIT)),
        (("28.2.2", False), ("18.06.1", False), ("first", LEGACY)),
    ],
)
def test_the_docker_command_with_the_best_builder_is_chosen(
    tmp_path: Path, first: tuple[str, bool], second: tuple[str, bool], chosen: tuple[str, str]
) -> None:
    commands = {
        "first": docker_command(tmp_path / "first", first[0], buildx=first[1]),
        "second": docker_command(tmp_path / "second", second[0], buildx=second[1]),
    }
    builder = choose_builder(list(commands.values()))
    assert builder == Builder(commands[chosen[0]], chosen[1])


def test_the_legacy_builder_is_taken_on_request(tmp_path: Path) -> None:
    command = docker_command(tmp_path / "docker", "28.2.2", buildx=True)
    assert choose_builder([command], legacy=True) == Builder(command, LEGACY)


def test_no_docker_command_is_an_error() -> None:
    with pytest.raises(EngineError, match="docker command was not found"):
        choose_builder([])


def test_buildx_is_called_with_attestations_off_and_loads_the_image() -> None:
    assert Builder("docker", BUILDX).arguments(BUILD, "app:1") == [
        *("docker", "buildx", "build", "--load", "--provenance=false", "--sbom=false", "--progress=plain"),
        *COMMON,
        *SECRETS,
        *PATHS,
    ]


def test_built_in_buildkit_is_called_without_what_it_does_not_know() -> None:
    assert Builder("docker", BUILDKIT).arguments(BUILD, "app:1") == [
        *("docker", "build", "--progress=plain"),
        *COMMON,
        *SECRETS,
        *PATHS,
    ]


def test_the_legacy_builder_is_told_about_its_containers() -> None:
    build = {**BUILD, "secrets": [], "force_remove": True}
    assert Builder("docker", LEGACY).arguments(build, "app:1") == [
        *("docker", "build", "--rm=true", "--force-rm"),
        *COMMON,
        *PATHS,
    ]


def test_the_legacy_builder_refuses_secrets() -> None:
    with pytest.raises(EngineError, match=r"build\.secrets needs BuildKit"):
        Builder("docker", LEGACY).arguments(BUILD, "app:1")


def test_an_index_in_the_registry_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = DockerProvider()
    docker.configure_provider(Diagnostics(), {"registry_auth": [{"address": "localhost:1", "auth_disabled": True}]})
    monkeypatch.setattr(docker.engine, "build", lambda *_: None)
    monkeypatch.setattr(docker.engine, "push", lambda *_: None)
    monkeypatch.setattr(provider, "read_manifest", lambda *_, **__: Manifest(DIGEST, INDEXES[1]))
    context = CreateContext(Diagnostics(), "docker_registry_image")
    created = RegistryImage(docker).create(context, {"name": "localhost:1/app:1", "build": [BUILD]})
    assert created is None
    assert "image index" in str(context.diagnostics)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("localhost:4566/a/b:c", ("localhost:4566", "a/b", "c")),
        ("localhost/app", ("localhost", "app", "latest")),
        ("1.dkr.ecr.eu-central-1.amazonaws.com/app:1", ("1.dkr.ecr.eu-central-1.amazonaws.com", "app", "1")),
    ],
)
def test_an_image_name_is_split(name: str, parts: tuple[str, str, str]) -> None:
    assert ImageName.parse(name) == ImageName(*parts)
