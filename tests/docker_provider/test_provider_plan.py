"""Plans and refusals: none of these needs an engine, or a registry but the test's own."""

import base64
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.docker_provider.workspace import DIGEST, JSON, Workspace

ADDRESS = "docker_registry_image.this"
REGISTRY = "localhost:1"  # nothing answers there
IMAGE: JSON = {
    "name": f"{REGISTRY}/app:1",
    "triggers": {"hash": "a"},
    "keep_remotely": True,
    "build": {"context": "context", "build_args": {"BASE": "a"}, "provenance": "false", "sbom": "false"},
}


STATE: JSON = {"version": 4, "serial": 1}


def changed(build: JSON | None = None, **arguments: object) -> JSON:
    return {**IMAGE, **arguments, "build": {**IMAGE["build"], **(build or {})}}


@pytest.fixture
def applied(workspace: Workspace) -> Workspace:
    """A workspace whose state holds IMAGE, as an apply leaves it."""
    workspace.image(REGISTRY, **IMAGE)
    values = workspace.plan()["planned_values"]["root_module"]["resources"][0]["values"]
    values |= {"id": DIGEST, "sha256_digest": DIGEST}
    resource = {
        "mode": "managed",
        "type": "docker_registry_image",
        "name": "this",
        "provider": 'provider["registry.terraform.io/kreuzwerker/docker"]',
        "instances": [{"schema_version": 0, "attributes": values}],
    }
    workspace.file("terraform.tfstate", json.dumps(STATE | {"resources": [resource]}))
    return workspace


def test_the_same_configuration_plans_nothing(applied: Workspace) -> None:
    assert applied.actions("-refresh=false") == {}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(changed(name=f"{REGISTRY}/app:2"), id="name"),
        pytest.param(changed(triggers={"hash": "b"}), id="triggers"),
        pytest.param(changed({"build_args": {"BASE": "b"}}), id="build_args"),
        pytest.param(changed({"context": "."}), id="context"),
        pytest.param(changed({"target": "slim"}), id="target"),
        pytest.param(changed({"secrets": [{"id": "token", "env": "TOKEN"}]}), id="secrets"),
        # The real provider's schema does not mark these two, but its `build` is a set of objects, and a
        # changed object is another one.
        pytest.param(changed({"label": {"team": "a"}}), id="label"),
        pytest.param(changed({"tag": ["localhost:1/app:latest"]}), id="tag"),
    ],
)
def test_what_makes_another_image_replaces(applied: Workspace, arguments: JSON) -> None:
    applied.image(REGISTRY, **arguments)
    [change] = applied.plan("-refresh=false")["resource_changes"]
    assert change["change"]["actions"] == ["delete", "create"]
    assert change["change"]["after_unknown"] == {**change["change"]["after_unknown"], "sha256_digest": True}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(changed(keep_remotely=False), id="keep_remotely"),
        pytest.param(changed(auth_config={"address": REGISTRY, "username": "me"}), id="auth_config"),
        pytest.param(changed(timeouts={"create": "5m"}), id="timeouts"),
    ],
)
def test_what_leaves_the_image_alone_updates_in_place_and_keeps_the_digest(applied: Workspace, arguments: JSON) -> None:
    applied.image(REGISTRY, **arguments)
    [change] = applied.plan("-refresh=false")["resource_changes"]
    assert change["change"]["actions"] == ["update"]
    assert change["change"]["after"]["sha256_digest"] == DIGEST
    assert applied.terraform("apply", "-refresh=false", "-auto-approve").code == 0
    assert applied.state()["sha256_digest"] == DIGEST


def test_arguments_spelt_out_with_their_default_plan_nothing(applied: Workspace) -> None:
    applied.image(REGISTRY, **changed({"dockerfile": "Dockerfile", "target": ""}, insecure_skip_verify=False))
    assert applied.actions("-refresh=false") == {}


def test_a_registry_that_does_not_answer_drops_the_image_from_the_state(applied: Workspace) -> None:
    assert applied.actions() == {ADDRESS: ["create"]}


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        ({"memory": 512}, "build.memory is not supported by the stand-in"),
        ({"cache_to": ["type=inline"]}, "build.cache_to is not supported by the stand-in"),
        ({"ulimit": [{"name": "nofile", "hard": 9, "soft": 9}]}, "build.ulimit is not supported"),
        ({"labels": {"a": "b"}}, "use build.label"),
        ({"context": "https://example.com/app.git"}, "local folders only"),
        ({"provenance": "mode=max"}, 'build.provenance = "mode=max" would push an image index'),
    ],
)
def test_an_argument_that_would_not_be_honoured_is_refused_at_plan(
    workspace: Workspace, build: JSON, reason: str
) -> None:
    workspace.image(REGISTRY, **changed(build))
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert reason in planned.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "app:1"}, '"app:1" names no registry'),
        ({"name": f"{REGISTRY}/app@{DIGEST}"}, "holds a digest"),
        ({"timeouts": {"create": "soon"}}, 'timeouts.create = "soon" is no duration'),
    ],
)
def test_a_malformed_value_is_refused_at_plan(workspace: Workspace, arguments: JSON, reason: str) -> None:
    workspace.image(REGISTRY, **{**IMAGE, **arguments})
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert reason in planned.text


def test_a_provider_argument_that_would_not_be_honoured_is_refused(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    configuration = json.loads((workspace.root / "main.tf.json").read_text())
    configuration["provider"]["docker"]["cert_path"] = "certificates"
    workspace.file("main.tf.json", json.dumps(configuration))
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert "cert_path is not supported by the stand-in" in planned.text


def test_an_image_without_a_login_for_its_registry_is_refused(workspace: Workspace) -> None:
    workspace.image("localhost:2", **IMAGE)
    applied = workspace.apply()
    assert applied.code == 1
    assert "no auth config found for registry localhost:1" in applied.text
    assert "localhost:2" in applied.text


def data(name: str) -> JSON:
    return {"docker_registry_image": {"this": {"name": name}}}


def config_json(registry: str) -> str:
    return json.dumps({"auths": {registry: {"auth": base64.b64encode(b"me:secret").decode()}}})


def test_the_data_source_reads_the_digest_with_user_and_password(workspace: Workspace, guarded_registry: str) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    workspace.configure(login, data=data(f"{guarded_registry}/app:1"))
    assert workspace.apply().code == 0
    assert workspace.state("data.docker_registry_image.this")["sha256_digest"] == DIGEST


@pytest.mark.parametrize("argument", ["config_file_content", "config_file"])
def test_a_login_may_come_from_a_docker_configuration(
    workspace: Workspace, guarded_registry: str, argument: str
) -> None:
    workspace.file("login.json", config_json(guarded_registry))
    value = config_json(guarded_registry) if argument == "config_file_content" else "login.json"
    workspace.configure(
        {"address": f"http://{guarded_registry}", argument: value}, data=data(f"{guarded_registry}/app:1")
    )
    assert workspace.apply().code == 0
    assert workspace.state("data.docker_registry_image.this")["sha256_digest"] == DIGEST


@pytest.mark.parametrize(("tag", "password", "status"), [("2", "secret", "404"), ("1", "wrong", "401")])
def test_the_data_source_passes_on_the_registrys_refusal(
    workspace: Workspace, guarded_registry: str, tag: str, password: str, status: str
) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": password}
    workspace.configure(login, data=data(f"{guarded_registry}/app:{tag}"))
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert f"got bad response from registry: {status}" in planned.text


def test_several_runs_at_once_do_not_meet(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: workspace.terraform("plan", "-lock=false"), range(4)))
    assert [run.code for run in runs] == [0] * 4, runs


def test_it_runs_without_a_home_to_write_to(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    workspace.variables["HOME"] = "/nonexistent"
    assert workspace.terraform("plan").code == 0


def test_it_leaves_nothing_in_the_home(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    assert workspace.terraform("plan").code == 0
    written = {path.name for path in (workspace.root / "home").rglob("*")}
    assert written <= {".terraform.d", "checkpoint_signature", "checkpoint_cache"}


def test_the_program_runs_from_anywhere_and_says_what_it_is(mirror: Path, tmp_path: Path) -> None:
    # A module of this name in the working directory would break a program that looks for modules there.
    (tmp_path / "grpc.py").write_text("raise RuntimeError")
    [program] = mirror.rglob("terraform-provider-docker_v*")
    assert len(program.read_text().splitlines()[0]) < 127
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    started = subprocess.run([program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert started.returncode == 1
    assert started.stderr == "This is a Terraform provider: Terraform starts it.\n"
