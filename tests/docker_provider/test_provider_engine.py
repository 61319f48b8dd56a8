"""The stand-in with a real engine and an emulated ECR registry."""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker_provider.workspace import JSON, Repository, Workspace, remove_images

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine")]

ADDRESS = "docker_registry_image.this"
NO_ENGINE = "tcp://127.0.0.1:1"
INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
KEEP_RUNNING: JSON = {"lifecycle": {"create_before_destroy": True}}


@pytest.fixture
def guarded_registry(guarded_registry: str) -> Iterator[str]:
    yield guarded_registry
    remove_images(f"{guarded_registry}/app")


def build(**arguments: object) -> JSON:
    return {"context": "context", "provenance": "false", "sbom": "false", **arguments}


@pytest.mark.parametrize("legacy", [False, True], ids=["buildx", "legacy builder"])
def test_build_and_push_of_an_image_returns_the_registrys_digest(
    workspace: Workspace, repository: Repository, legacy: bool
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build(use_legacy_builder=legacy))
    applied = workspace.apply()
    assert applied.code == 0, applied.text

    response = repository.request("HEAD", "manifests/1")
    assert workspace.state()["sha256_digest"] == response.headers["Docker-Content-Digest"]
    assert workspace.state()["id"] == response.headers["Docker-Content-Digest"]
    assert response.headers["Content-Type"] not in INDEXES
    assert len(repository.request("GET", "manifests/1").json()["layers"]) == 1
    assert workspace.actions() == {}
    assert not (workspace.root / "home" / ".docker").exists()


def test_plan_is_empty_without_the_local_image_or_an_engine(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    assert workspace.apply().code == 0
    subprocess.run(["docker", "image", "rm", repository.tag("1")], check=True, capture_output=True)
    assert workspace.actions() == {}
    workspace.variables["DOCKER_HOST"] = NO_ENGINE
    assert workspace.actions() == {}


def test_build_arguments_reach_the_image(workspace: Workspace, repository: Repository) -> None:
    workspace.file(
        "Dockerfile",
        "FROM scratch AS slim\nARG VERSION\nCOPY message.txt /\nLABEL version=$VERSION\nFROM slim\nLABEL stage=last\n",
    )
    arguments = build(
        dockerfile="../Dockerfile",
        target="slim",
        platform="linux/amd64",
        build_args={"VERSION": "7 or so"},
        label={"team": "ours"},
        no_cache=True,
        network_mode="none",
        extra_hosts=["registry.test:127.0.0.1"],
    )
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 0, applied.text
    assert repository.labels("1") == {"version": "7 or so", "team": "ours"}


def test_dockerignore_of_the_context_applies(workspace: Workspace, repository: Repository) -> None:
    workspace.file("context/.dockerignore", "message.txt\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    applied = workspace.apply()
    assert applied.code == 1
    assert "message.txt" in applied.text


def test_changed_build_arguments_replace_the_image(workspace: Workspace, repository: Repository) -> None:
    workspace.file("context/Dockerfile", "FROM scratch\nARG V\nCOPY message.txt /\nLABEL v=$V\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build(build_args={"V": "1"}))
    assert workspace.apply().code == 0
    first = workspace.state()["sha256_digest"]

    second = build(build_args={"V": "2"})
    workspace.image(repository.registry, name=repository.tag("2"), keep_remotely=True, build=second)
    assert workspace.actions() == {ADDRESS: ["delete", "create"]}
    assert workspace.apply().code == 0
    assert workspace.state()["sha256_digest"] != first
    assert repository.labels("2") == {"v": "2"}


def test_failed_build_reports_the_line_and_keeps_the_state(workspace: Workspace, repository: Repository) -> None:
    workspace.image(
        repository.registry,
        name=repository.tag("1"),
        keep_remotely=True,
        build=build(build_log_file="build.log"),
        **KEEP_RUNNING,
    )
    assert workspace.apply().code == 0
    before = workspace.state()
    (workspace.root / "build.log").unlink()

    workspace.file("context/Dockerfile", "FROM scratch\nCOPY no-such-file.txt /\n")
    workspace.image(
        repository.registry,
        name=repository.tag("2"),
        keep_remotely=True,
        build=build(build_log_file="build.log"),
        **KEEP_RUNNING,
    )
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error running buildx build: failed to solve: " in applied.text
    assert "no-such-file.txt" in applied.text
    assert "COPY no-such-file.txt /" in (workspace.root / "build.log").read_text()
    assert workspace.state() == before
    assert repository.request("HEAD", "manifests/2").status_code == 404


def test_log_of_a_failed_build_is_discarded_without_build_log_file(
    workspace: Workspace, repository: Repository
) -> None:
    scratch = workspace.root / "scratch"
    scratch.mkdir()
    workspace.variables["TMPDIR"] = str(scratch)
    workspace.file("context/Dockerfile", "FROM scratch\nCOPY no-such-file.txt /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    applied = workspace.apply()
    assert applied.code == 1, applied.text
    assert "COPY no-such-file.txt" not in applied.text
    assert list(scratch.iterdir()) == []


def test_failed_command_is_reported_with_its_exit_code(workspace: Workspace, repository: Repository) -> None:
    # An empty image has no shell, so the command is the program itself.
    shutil.copy(static_program(workspace), workspace.root / "context" / "program")
    workspace.file("context/Dockerfile", 'FROM scratch\nCOPY program /\nRUN ["/program", "exit 3"]\n')
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    applied = workspace.apply()
    assert applied.code == 1
    assert re.search(r"Error running buildx build: failed to solve: .*exit 3.* exit code: 3", applied.text), (
        applied.text
    )


def static_program(workspace: Workspace) -> Path:
    """Return a static program that exits with code 3."""
    source, program = workspace.root / "program.c", workspace.root / "program"
    source.write_text("int main(void) { return 3; }\n")
    compiled = subprocess.run(["cc", "-static", "-o", program, source], capture_output=True)
    if compiled.returncode != 0:
        pytest.skip("no C compiler with static linking")
    return program


def test_failed_legacy_build_reports_the_engines_error(workspace: Workspace, repository: Repository) -> None:
    workspace.file("context/Dockerfile", "FROM scratch\nCOPY no-such-file.txt /\n")
    arguments = build(use_legacy_builder=True, build_log_file="build.log")
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error running legacy build: " in applied.text
    assert "no-such-file.txt" in applied.text
    assert not (workspace.root / "build.log").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"provenance": "mode=max"}, "Attestation is not supported for the docker driver."),
        ({"sbom": "max"}, "invalid value max"),
        ({"cache_to": ["type=registry,ref=a.test/b"]}, "Cache export is not supported for the docker driver."),
    ],
)
def test_features_that_the_engine_lacks_are_refused_at_apply(
    workspace: Workspace, repository: Repository, arguments: JSON, reason: str
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build(**arguments))
    applied = workspace.apply()
    assert applied.code == 1
    assert f"Error running buildx build: {reason}" in applied.text


def test_limits_are_build_arguments_and_labels_are_ignored(workspace: Workspace, repository: Repository) -> None:
    workspace.file("context/Dockerfile", "FROM scratch\nARG memory\nCOPY message.txt /\nLABEL memory=$memory\n")
    arguments = build(
        memory=512,
        shm_size=1 << 20,
        ulimit=[{"name": "nofile", "hard": 9, "soft": 9}],
        cache_to=["type=inline"],
        labels={"team": "theirs"},
        squash=True,
        remove=False,
        security_opt=["anything"],
        auth_config=[{"host_name": "a.test"}],
    )
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 0, applied.text
    assert repository.labels("1") == {"memory": "512"}


def test_docker_buildkit_0_selects_the_legacy_builder(workspace: Workspace, repository: Repository) -> None:
    workspace.variables["DOCKER_BUILDKIT"] = "0"
    arguments = build(labels={"team": "ours"}, label={"team": "theirs"})
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 0, applied.text
    assert repository.labels("1") == {"team": "ours"}

    workspace.variables["DOCKER_BUILDKIT"] = "maybe"
    workspace.image(repository.registry, name=repository.tag("2"), build=arguments)
    assert "DOCKER_BUILDKIT environment variable expects boolean value" in workspace.apply().text


def test_missing_dockerfile_is_reported(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build(dockerfile="../Nowhere"))
    applied = workspace.apply()
    assert applied.code == 1
    missing = workspace.root.resolve() / "Nowhere"
    assert f"Error mapping build attributes: dockerfile not found at path: {missing}" in applied.text


def test_unwritable_build_log_is_reported(workspace: Workspace, repository: Repository) -> None:
    arguments = build(build_log_file="nowhere/build.log")
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 1
    assert (
        "Error running buildx build: failed to open build log file: open nowhere/build.log: no such file or directory"
    ) in applied.text


def test_immutable_tag_fails_with_the_registrys_error(workspace: Workspace, immutable_repository: Repository) -> None:
    name = immutable_repository.tag("1")
    keep = {"name": name, "keep_remotely": True, "build": build()}
    workspace.image(immutable_repository.registry, **keep, triggers={"hash": "a"})
    assert workspace.apply().code == 0

    workspace.file("context/message.txt", "another")
    workspace.image(immutable_repository.registry, **keep, triggers={"hash": "b"}, **KEEP_RUNNING)
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error pushing docker image: Error pushing image. . Full error: " in applied.text
    assert "immutable" in applied.text


@pytest.mark.parametrize("setting", ["DOCKER_HOST", "host"])
def test_unreachable_engine_is_reported(workspace: Workspace, repository: Repository, setting: str) -> None:
    images = {"this": {"name": repository.tag("1"), "build": build()}}
    login = {"address": f"http://{repository.registry}", "auth_disabled": True}
    if setting == "host":
        workspace.configure(login, resource={"docker_registry_image": images}, provider={"host": NO_ENGINE})
    else:
        workspace.configure(login, resource={"docker_registry_image": images})
        workspace.variables["DOCKER_HOST"] = NO_ENGINE
    applied = workspace.apply()
    assert applied.code == 1
    assert (
        f"failed to create Docker client: Error pinging Docker server, please make sure that {NO_ENGINE} is reachable "
        f"and has a '_ping' endpoint. Error: Cannot connect to the Docker daemon at {NO_ENGINE}"
    ) in applied.text


def test_without_the_daemon_check_an_unreachable_engine_fails_the_build(
    workspace: Workspace, repository: Repository
) -> None:
    images = {"this": {"name": repository.tag("1"), "build": build()}}
    workspace.configure(
        {"address": f"http://{repository.registry}", "auth_disabled": True},
        provider={"host": NO_ENGINE, "disable_docker_daemon_check": True},
        resource={"docker_registry_image": images},
    )
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error running buildx build: " in applied.text
    assert "failed to create Docker client" not in applied.text


def test_image_is_built_before_a_missing_login_is_reported(workspace: Workspace, repository: Repository) -> None:
    workspace.image("localhost:2", name=repository.tag("1"), build=build(build_log_file="build.log"))
    applied = workspace.apply()
    assert applied.code == 1
    assert (
        "resourceDockerRegistryImageCreate: Unable to get authConfig for registry: "
        f"no auth config found for registry {repository.registry} in auth configs: localhost:2"
    ) in applied.text
    assert (workspace.root / "build.log").read_text()


def test_default_registry_is_docker_hub(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=f"{repository.name}:1", build=build())
    try:
        assert "no auth config found for registry registry-1.docker.io" in workspace.apply().text
    finally:
        remove_images(repository.name)


def test_missing_local_image_is_an_error(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("missing"))
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error pushing docker image: " in applied.text
    assert "An image does not exist locally with the tag" in applied.text


def test_engine_20_refuses_a_push_without_a_login(workspace: Workspace, repository: Repository) -> None:
    login = {"address": f"http://{repository.registry}", "config_file_content": "{}"}
    image = {"name": repository.tag("1"), "build": build()}
    workspace.configure(login, resource={"docker_registry_image": {"this": image}})
    version = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True)
    applied = workspace.apply()
    if int(version.stdout.split(".")[0]) >= 23:
        assert applied.code == 0, applied.text
    else:
        assert "Error pushing docker image: Error response from daemon: Bad parameters" in applied.text
        assert "missing X-Registry-Auth: EOF" in applied.text


@pytest.mark.parametrize(("keep", "status"), [(True, 200), (False, 404)])
def test_destroy_deletes_the_image_unless_keep_remotely(
    workspace: Workspace, repository: Repository, keep: bool, status: int
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), keep_remotely=keep, build=build())
    assert workspace.apply().code == 0
    destroyed = workspace.terraform("destroy", "-auto-approve")
    assert destroyed.code == 0, destroyed.text
    assert repository.request("HEAD", "manifests/1").status_code == status


def test_image_deleted_outside_terraform_is_created_again(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    assert workspace.apply().code == 0
    digest = workspace.state()["sha256_digest"]
    assert repository.request("DELETE", f"manifests/{digest}").status_code == 202
    assert workspace.actions() == {ADDRESS: ["create"]}


def test_local_image_is_pushed_without_a_build(workspace: Workspace, repository: Repository) -> None:
    name = repository.tag("1")
    subprocess.run(["docker", "build", "-t", name, "context"], cwd=workspace.root, check=True, capture_output=True)
    workspace.image(repository.registry, name=name)
    assert workspace.apply().code == 0
    assert repository.request("HEAD", "manifests/1").status_code == 200


def test_push_uses_username_and_password(workspace: Workspace, guarded_registry: str) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    image = {"name": f"{guarded_registry}/app:2", "build": build()}
    workspace.configure(login, resource={"docker_registry_image": {"this": image}})
    assert "me may not push here" in workspace.apply().text

    workspace.configure({**login, "password": "wrong"}, resource={"docker_registry_image": {"this": image}})
    refused = workspace.apply()
    assert refused.code == 1
    assert "Error pushing docker image" in refused.text
    assert "me may not push here" not in refused.text


def test_auth_config_of_a_resource_takes_precedence(workspace: Workspace, guarded_registry: str) -> None:
    own = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    image = {"name": f"{guarded_registry}/app:2", "build": build(), "auth_config": own}
    workspace.configure(None, resource={"docker_registry_image": {"this": image}})
    assert "me may not push here" in workspace.apply().text


def test_one_apply_builds_three_images(workspace: Workspace, repository: Repository) -> None:
    names = {f"image{number}": {"name": repository.tag(str(number)), "build": build()} for number in range(3)}
    login = {"address": f"http://{repository.registry}", "auth_disabled": True}
    workspace.configure(login, resource={"docker_registry_image": names})
    applied = workspace.apply()
    assert applied.code == 0, applied.text
    assert {repository.request("HEAD", f"manifests/{n}").status_code for n in range(3)} == {200}


@pytest.fixture
def never_ending_file() -> Iterator[str]:
    """URL of a file on a server that accepts requests and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept_connections, args=[server], daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


def _accept_connections(server: socket.socket) -> None:
    connections = []
    while True:
        try:
            connections.append(server.accept())
        except OSError:
            return


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def build_is_running(name: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"docker.*build.*{name}"], capture_output=True).returncode == 0


def test_cancelled_apply_stops_its_build(workspace: Workspace, repository: Repository, never_ending_file: str) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    run = workspace.start("apply", "-auto-approve")
    wait_until(lambda: build_is_running(repository.name))
    run.send_signal(signal.SIGINT)
    text, _ = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "Error running buildx build: context canceled" in text
    assert not build_is_running(repository.name)


def test_build_stops_when_terraform_is_killed(
    workspace: Workspace, repository: Repository, never_ending_file: str
) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    run = workspace.start("apply", "-auto-approve")
    wait_until(lambda: build_is_running(repository.name))
    run.kill()
    run.communicate(timeout=30)
    wait_until(lambda: not build_is_running(repository.name))


def test_build_stops_at_its_timeout(workspace: Workspace, repository: Repository, never_ending_file: str) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build(), timeouts={"create": "2s"})
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error running buildx build: context deadline exceeded" in applied.text
    assert not build_is_running(repository.name)
