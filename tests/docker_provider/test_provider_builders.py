"""The choice of docker command, its arguments, and errors in its log."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker_provider.engine import (
    BUILDKIT,
    BUILDX,
    CLASSIC,
    Builder,
    EngineError,
    choose_builder,
)

BUILD: dict[str, Any] = {
    "context": "../service",
    "dockerfile": "../Dockerfile",
    "remove": True,
    "target": "slim",
    "build_args": {"B": "2", "A": "1"},
    "label": {"team": "ours"},
    "labels": {"team": "theirs"},
    "no_cache": True,
    "pull_parent": False,
    "cache_from": ["app:cache"],
    "extra_hosts": [],
    "network_mode": "",
    "memory": 512,
    "shm_size": 1024,
    "ulimit": [{"name": "nofile", "hard": 9, "soft": 8}],
    "secrets": [{"id": "token", "src": "token.txt", "env": ""}, {"id": "key", "src": "", "env": "KEY"}],
}
RESOURCES = [
    *("--build-arg", "cpusetcpus=", "--build-arg", "cpusetmems=", "--build-arg", "cpushares=0"),
    *("--build-arg", "cpuquota=0", "--build-arg", "cpuperiod=0", "--build-arg", "memory=512"),
    *("--build-arg", "memoryswap=0"),
]
COMMON = [
    *("--target", "slim", "--no-cache", "--build-arg", "A=1", "--build-arg", "B=2"),
    *("--cache-from", "app:cache", "--shm-size", "1024", "--ulimit", "nofile=8:9"),
]
SECRETS = ["--secret", "type=file,id=token,src=token.txt", "--secret", "type=env,id=key,env=KEY"]
PATHS = ["--file", "../service/../Dockerfile", "../service"]


def docker_command(folder: Path, version: str, *, buildx: bool) -> str:
    """Return a fake docker command that only prints its version."""
    folder.mkdir()
    script = folder / "docker"
    plugin = "echo buildx v0.12" if buildx else "exit 1"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in\nbuildx) {plugin};;\n--version) echo "Docker version {version}, build 1";;\nesac\n'
    )
    script.chmod(0o755)
    return str(script)


@pytest.fixture(autouse=True)
def without_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (("28.2.2", True), ("20.10.24", False), ("first", BUILDX)),
        (("20.10.24", False), ("28.2.2", True), ("second", BUILDX)),
        (("28.2.2", False), ("20.10.24+dfsg1", False), ("second", BUILDKIT)),
        (("28.2.2", False), ("18.06.1", False), ("first", CLASSIC)),
    ],
)
def test_docker_command_with_the_best_builder_is_chosen(
    tmp_path: Path, first: tuple[str, bool], second: tuple[str, bool], chosen: tuple[str, str]
) -> None:
    commands = {
        "first": docker_command(tmp_path / "first", first[0], buildx=first[1]),
        "second": docker_command(tmp_path / "second", second[0], buildx=second[1]),
    }
    builder = choose_builder(list(commands.values()))
    assert builder == Builder(commands[chosen[0]], chosen[1])


@pytest.mark.parametrize(("version", "kind"), [("20.10.24", BUILDKIT), ("28.2.2", CLASSIC)])
def test_legacy_builder_is_buildkit_if_the_command_has_it(tmp_path: Path, version: str, kind: str) -> None:
    command = docker_command(tmp_path / "docker", version, buildx=True)
    assert choose_builder([command], legacy=True) == Builder(command, kind)


def test_missing_docker_command_is_an_error() -> None:
    with pytest.raises(EngineError, match="docker command, which is not on PATH"):
        choose_builder([])


def test_buildx_gets_the_same_arguments_as_from_the_real_provider() -> None:
    more = {
        "additional_contexts": ["common=../common"],
        "builder": "default",
        "cache_to": ["type=local,dest=cache"],
        "provenance": "mode=max",
        "sbom": "false",
    }
    assert Builder("docker", BUILDX).arguments({**BUILD, **more}, "app:1") == [
        *("docker", "buildx", "build", "--load", "--progress=plain", "--tag", "app:1"),
        *RESOURCES,
        *("--label", "team=ours", "--build-context", "common=../common", "--builder", "default"),
        *("--cache-to", "type=local,dest=cache", "--provenance", "mode=max", "--sbom", "false"),
        *COMMON,
        *SECRETS,
        *PATHS,
    ]


def test_built_in_buildkit_gets_no_buildx_flags() -> None:
    build = {**BUILD, "provenance": "false", "sbom": "disabled=true", "cache_to": ["type=inline"]}
    assert Builder("docker", BUILDKIT).arguments(build, "app:1") == [
        *("docker", "build", "--progress=plain", "--tag", "app:1"),
        *RESOURCES,
        *("--label", "team=ours", "--build-arg", "BUILDKIT_INLINE_CACHE=1"),
        *COMMON,
        *SECRETS,
        *PATHS,
    ]


def test_legacy_builder_gets_limits_and_labels_as_flags() -> None:
    build = {**BUILD, "secrets": [], "remove": False, "force_remove": True, "squash": True}
    assert Builder("docker", CLASSIC).arguments(build, "app:1", legacy=True) == [
        *("docker", "build", "--tag", "app:1", "--rm=false"),
        *("--label", "team=theirs", "--memory", "512", "--squash", "--force-rm"),
        *COMMON,
        *PATHS,
    ]


def test_source_date_epoch_is_a_build_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert "SOURCE_DATE_EPOCH=7" in Builder("docker", BUILDX).arguments(BUILD, "app:1")


@pytest.mark.parametrize("context", ["https://example.com/app.git", "git@example.com:app.git"])
def test_remote_context_and_its_dockerfile_are_passed_on(context: str) -> None:
    arguments = Builder("docker", BUILDKIT).arguments({**BUILD, "context": context, "dockerfile": "a/Dockerfile"}, "a")
    assert arguments[-3:] == ["--file", "a/Dockerfile", context]


@pytest.mark.parametrize(
    ("kind", "legacy", "argument", "value"),
    [
        (BUILDKIT, False, "additional_contexts", ["a=b"]),
        (BUILDKIT, False, "builder", "mine"),
        (CLASSIC, False, "additional_contexts", ["a=b"]),
        (CLASSIC, False, "builder", "mine"),
        (CLASSIC, False, "cache_to", ["type=inline"]),
        (CLASSIC, False, "secrets", BUILD["secrets"]),
        (BUILDKIT, True, "remote_context", "https://example.com/app.git"),
        (CLASSIC, True, "remote_context", "https://example.com/app.git"),
        (CLASSIC, True, "secrets", BUILD["secrets"]),
    ],
)
def test_unsupported_build_argument_is_refused(kind: str, legacy: bool, argument: str, value: object) -> None:
    build = {**BUILD, "secrets": [], argument: value}
    with pytest.raises(EngineError, match=rf"build\.{argument} needs .* not available to the stand-in provider"):
        Builder("docker", kind).arguments(build, "app:1", legacy=legacy)


def test_legacy_builder_refuses_a_remote_context() -> None:
    with pytest.raises(EngineError, match=r"remote build\.context"):
        Builder("docker", BUILDKIT).arguments({**BUILD, "context": "https://a.test/b.git"}, "app:1", legacy=True)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (["#1 [internal]", "ERROR: failed to solve: no\nway"], "failed to solve: no\nway"),
        (
            ["#9 ERROR: exit code: 3", "ERROR: Attestation is not supported", "Learn more", "View build details: x"],
            "Attestation is not supported\nLearn more",
        ),
        (["#1 [internal]", "executor failed running [/bin/sh -c exit 3]"], None),
        (
            [
                "#1 [internal]",
                "failed to solve with frontend dockerfile.v0: executor failed running [/bin/sh -c exit 3]",
            ],
            None,
        ),
        (['unable to prepare context: path "x" not found'], 'unable to prepare context: path "x" not found'),
    ],
)
def test_failed_build_reports_buildx_error(log: list[str], reason: str | None) -> None:
    expected = reason or "failed to solve: executor failed running [/bin/sh -c exit 3]"
    assert Builder("docker", BUILDX).reason(log) == expected


def test_tilde_in_a_context_is_the_users_home() -> None:
    user = pwd.getpwuid(os.getuid())
    assert Builder("docker", BUILDX).arguments({"context": "~/app"}, "app:1")[-1] == f"{user.pw_dir}/app"
