"""The stand-in with a real engine and a registry that answers as ECR does."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

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


@pytest.mark.parametrize("legacy", [False, True], ids=["best builder", "legacy builder"])
def test_builds_and_pushes_a_plain_image_whose_digest_the_registry_confirms(
    workspace: Workspace, repository: Repository, legacy: bool
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build(use_legacy_builder=legacy))
    applied = workspace.apply()
    assert applied.code == 0, applied.text

    answer = repository.request("HEAD", "manifests/1")
    assert workspace.state()["sha256_digest"] == answer.headers["Docker-Content-Digest"]
    assert workspace.state()["id"] == answer.headers["Docker-Content-Digest"]
    assert answer.headers["Content-Type"] not in INDEXES
    assert len(repository.request("GET", "manifests/1").json()["layers"]) == 1
    assert workspace.actions() == {}
    assert not (workspace.root / "home" / ".docker").exists()


def test_the_plan_stays_empty_without_the_image_and_without_any_engine(
    workspace: Workspace, repository: Repository
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    assert workspace.apply().code == 0
    subprocess.run(["docker", "image", "rm", repository.tag("1")], check=True, capture_output=True)
    assert workspace.actions() == {}
    workspace.variables["DOCKER_HOST"] = NO_ENGINE
    assert workspace.actions() == {}


def test_the_arguments_of_a_build_reach_the_image(workspace: Workspace, repository: Repository) -> None:
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


def test_the_dockerignore_of_the_context_counts(workspace: Workspace, repository: Repository) -> None:
    workspace.file("context/.dockerignore", "message.txt\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    applied = workspace.apply()
    assert applied.code == 1
    assert "message.txt" in applied.text


def test_changed_build_arguments_make_a_new_image(workspace: Workspace, repository: Repository) -> None:
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


def test_a_failed_build_shows_the_failing_line_and_keeps_the_old_image_in_the_state(
    workspace: Workspace, repository: Repository
) -> None:
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
    assert "Error building docker image" in applied.text
    assert "COPY no-such-file.txt /" in applied.text
    assert "COPY no-such-file.txt /" in (workspace.root / "build.log").read_text()
    assert workspace.state() == before
    assert repository.request("HEAD", "manifests/2").status_code == 404


def test_the_log_of_a_failed_build_is_kept_even_unasked(workspace: Workspace, repository: Repository) -> None:
    logs = workspace.root / "logs"
    logs.mkdir()
    workspace.variables["TMPDIR"] = str(logs)
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    assert workspace.apply().code == 0
    assert list(logs.glob("docker-build-*")) == []

    workspace.file("context/Dockerfile", "FROM scratch\nCOPY no-such-file.txt /\n")
    workspace.image(repository.registry, name=repository.tag("2"), build=build())
    applied = workspace.apply()
    assert applied.code == 1, applied.text
    [log] = logs.glob("docker-build-*.log")
    assert str(log) in applied.text.replace(" ", "")
    assert "COPY no-such-file.txt /" in log.read_text()


def test_a_missing_dockerfile_is_named(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build(dockerfile="Nowhere"))
    applied = workspace.apply()
    assert applied.code == 1
    assert "Nowhere" in applied.text


def test_a_build_log_that_cannot_be_written_is_named(workspace: Workspace, repository: Repository) -> None:
    arguments = build(build_log_file="nowhere/build.log")
    workspace.image(repository.registry, name=repository.tag("1"), build=arguments)
    applied = workspace.apply()
    assert applied.code == 1
    assert "No such file or directory: nowhere/build.log" in applied.text


def test_a_tag_that_may_not_move_is_refused_in_the_registrys_words(
    workspace: Workspace, immutable_repository: Repository
) -> None:
    name = immutable_repository.tag("1")
    keep = {"name": name, "keep_remotely": True, "build": build()}
    workspace.image(immutable_repository.registry, **keep, triggers={"hash": "a"})
    assert workspace.apply().code == 0

    workspace.file("context/message.txt", "another")
    workspace.image(immutable_repository.registry, **keep, triggers={"hash": "b"}, **KEEP_RUNNING)
    applied = workspace.apply()
    assert applied.code == 1
    assert "Error pushing docker image" in applied.text
    assert "immutable" in applied.text


@pytest.mark.parametrize("setting", ["DOCKER_HOST", "host"])
def test_an_engine_that_does_not_answer_is_named(workspace: Workspace, repository: Repository, setting: str) -> None:
    images = {"this": {"name": repository.tag("1"), "build": build()}}
    login = {"address": f"http://{repository.registry}", "auth_disabled": True}
    if setting == "host":
        workspace.configure(login, resource={"docker_registry_image": images}, host=NO_ENGINE)
    else:
        workspace.configure(login, resource={"docker_registry_image": images})
        workspace.variables["DOCKER_HOST"] = NO_ENGINE
    applied = workspace.apply()
    assert applied.code == 1
    assert f"Cannot connect to the Docker daemon at {NO_ENGINE}" in applied.text
    assert "An image must be built" in applied.text


@pytest.mark.parametrize(("keep", "status"), [(True, 200), (False, 404)])
def test_destroy_deletes_the_image_unless_it_is_kept(
    workspace: Workspace, repository: Repository, keep: bool, status: int
) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), keep_remotely=keep, build=build())
    assert workspace.apply().code == 0
    destroyed = workspace.terraform("destroy", "-auto-approve")
    assert destroyed.code == 0, destroyed.text
    assert repository.request("HEAD", "manifests/1").status_code == status


def test_an_image_deleted_behind_terraforms_back_is_planned_again(workspace: Workspace, repository: Repository) -> None:
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    assert workspace.apply().code == 0
    digest = workspace.state()["sha256_digest"]
    assert repository.request("DELETE", f"manifests/{digest}").status_code == 202
    assert workspace.actions() == {ADDRESS: ["create"]}


def test_an_image_of_the_engine_is_pushed_without_a_build(workspace: Workspace, repository: Repository) -> None:
    name = repository.tag("1")
    subprocess.run(["docker", "build", "-t", name, "context"], cwd=workspace.root, check=True, capture_output=True)
    workspace.image(repository.registry, name=name)
    assert workspace.apply().code == 0
    assert repository.request("HEAD", "manifests/1").status_code == 200


def test_a_push_logs_in_with_the_users_name_and_password(workspace: Workspace, guarded_registry: str) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    image = {"name": f"{guarded_registry}/app:2", "build": build()}
    workspace.configure(login, resource={"docker_registry_image": {"this": image}})
    assert "me may not push here" in workspace.apply().text

    workspace.configure({**login, "password": "wrong"}, resource={"docker_registry_image": {"this": image}})
    refused = workspace.apply()
    assert refused.code == 1
    assert "Error pushing docker image" in refused.text
    assert "me may not push here" not in refused.text


def test_a_resources_own_login_wins(workspace: Workspace, guarded_registry: str) -> None:
    own = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    image = {"name": f"{guarded_registry}/app:2", "build": build(), "auth_config": own}
    workspace.configure(None, resource={"docker_registry_image": {"this": image}})
    assert "me may not push here" in workspace.apply().text


def test_several_images_are_built_in_one_apply(workspace: Workspace, repository: Repository) -> None:
    names = {f"image{number}": {"name": repository.tag(str(number)), "build": build()} for number in range(3)}
    login = {"address": f"http://{repository.registry}", "auth_disabled": True}
    workspace.configure(login, resource={"docker_registry_image": names})
    applied = workspace.apply()
    assert applied.code == 0, applied.text
    assert {repository.request("HEAD", f"manifests/{n}").status_code for n in range(3)} == {200}


@pytest.fixture
def never_ending_file() -> Iterator[str]:
    """The address of a file whose server takes the request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_take_connections, args=[server], daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"


def _take_connections(server: socket.socket) -> None:
    taken = []
    while True:
        try:
            taken.append(server.accept())
        except OSError:
            return


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def builds_under_way(name: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"docker.*build.*{name}"], capture_output=True).returncode == 0


def test_a_cancelled_apply_ends_its_build(workspace: Workspace, repository: Repository, never_ending_file: str) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    run = workspace.start("apply", "-auto-approve")
    wait_until(lambda: builds_under_way(repository.name))
    run.send_signal(signal.SIGINT)
    text, _ = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "Cancelled" in text
    assert not builds_under_way(repository.name)


def test_a_build_ends_when_terraform_is_killed(
    workspace: Workspace, repository: Repository, never_ending_file: str
) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build())
    run = workspace.start("apply", "-auto-approve")
    wait_until(lambda: builds_under_way(repository.name))
    run.kill()
    run.communicate(timeout=30)
    wait_until(lambda: not builds_under_way(repository.name))


def test_a_build_that_outlasts_its_timeout_is_ended(
    workspace: Workspace, repository: Repository, never_ending_file: str
) -> None:
    workspace.file("context/Dockerfile", f"FROM scratch\nADD {never_ending_file} /\n")
    workspace.image(repository.registry, name=repository.tag("1"), build=build(), timeouts={"create": "2s"})
    applied = workspace.apply()
    assert applied.code == 1
    assert "took longer than 2 s (timeouts.create)" in applied.text
    assert not builds_under_way(repository.name)
