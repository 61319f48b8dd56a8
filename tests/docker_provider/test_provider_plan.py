"""Plans and refusals: none of these needs an engine, or a registry but the test's own."""

import base64
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.docker_provider.provider import UNSUPPORTED
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
OLD_DIGEST = "sha256:" + "1" * 64


def changed(build: JSON | None = None, **arguments: object) -> JSON:
    return {**IMAGE, **arguments, "build": {**IMAGE["build"], **(build or {})}}


@pytest.fixture
def applied(workspace: Workspace) -> Workspace:
    """A workspace whose state holds IMAGE, as an apply leaves it."""
    workspace.image(REGISTRY, **IMAGE)
    remember(workspace)
    return workspace


def remember(workspace: Workspace) -> None:
    """Put into the state what the configuration plans, as an apply leaves it."""
    values = workspace.plan()["planned_values"]["root_module"]["resources"][0]["values"]
    values |= {"id": OLD_DIGEST, "sha256_digest": OLD_DIGEST}
    resource = {
        "mode": "managed",
        "type": "docker_registry_image",
        "name": "this",
        "provider": 'provider["registry.terraform.io/kreuzwerker/docker"]',
        "instances": [{"schema_version": 0, "attributes": values}],
    }
    workspace.file("terraform.tfstate", json.dumps(STATE | {"resources": [resource]}))


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
    ],
)
def test_what_leaves_the_image_alone_is_planned_in_place_and_keeps_the_digest(
    applied: Workspace, arguments: JSON
) -> None:
    applied.image(REGISTRY, **arguments)
    [change] = applied.plan("-refresh=false")["resource_changes"]
    assert change["change"]["actions"] == ["update"]
    assert change["change"]["after"]["sha256_digest"] == OLD_DIGEST


def test_an_update_in_place_reads_the_digest_again(workspace: Workspace, guarded_registry: str) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": "secret"}
    image = {**IMAGE, "name": f"{guarded_registry}/app:1"}
    workspace.configure(login, resource={"docker_registry_image": {"this": image}})
    remember(workspace)
    workspace.configure(login, resource={"docker_registry_image": {"this": {**image, "keep_remotely": False}}})
    assert workspace.terraform("apply", "-refresh=false", "-auto-approve").code == 0
    assert workspace.state()["sha256_digest"] == DIGEST
    assert workspace.state()["keep_remotely"] is False


def test_an_update_in_place_without_an_answer_fails_and_keeps_the_state(applied: Workspace) -> None:
    applied.image(REGISTRY, **changed(keep_remotely=False))
    updated = applied.terraform("apply", "-refresh=false", "-auto-approve")
    assert updated.code == 1
    assert "the provider returned a null object for docker_registry_image.this" in updated.text
    assert applied.state()["keep_remotely"] is True


@pytest.mark.parametrize("timeouts", [{"create": "5m"}, {"create": "1h", "delete": "1m30.5s"}])
def test_changed_timeouts_are_no_change(applied: Workspace, timeouts: JSON) -> None:
    applied.image(REGISTRY, **changed(timeouts=timeouts))
    assert applied.actions("-refresh=false") == {}


def test_arguments_spelt_out_with_their_default_plan_nothing(applied: Workspace) -> None:
    applied.image(REGISTRY, **changed({"dockerfile": "Dockerfile", "target": ""}, insecure_skip_verify=False))
    assert applied.actions("-refresh=false") == {}


def test_a_registry_that_does_not_answer_drops_the_image_from_the_state(applied: Workspace) -> None:
    assert applied.actions() == {ADDRESS: ["create"]}


@pytest.mark.parametrize(
    "build",
    [
        {"memory": 512, "shm_size": 1, "cpu_shares": 2, "cgroup_parent": "builds", "isolation": "default"},
        {"cache_to": ["type=registry,ref=app:cache"], "additional_contexts": ["a=b"], "builder": "mine"},
        {"ulimit": [{"name": "nofile", "hard": 9, "soft": 9}]},
        {"labels": {"a": "b"}, "squash": True, "security_opt": ["a"], "remote_context": "a", "build_id": "a"},
        {"auth_config": [{"host_name": "a.test", "user_name": "me", "password": "secret"}]},
        {"context": "https://example.com/app.git"},
        {"provenance": "mode=max", "sbom": "true"},
    ],
)
def test_every_argument_of_a_build_is_accepted_at_plan(workspace: Workspace, build: JSON) -> None:
    workspace.image(REGISTRY, **changed(build))
    assert workspace.actions() == {ADDRESS: ["create"]}


@pytest.mark.parametrize("name", ["app:1", f"{REGISTRY}/app@{DIGEST}", "Not A Name"])
def test_every_name_is_accepted_at_plan(workspace: Workspace, name: str) -> None:
    workspace.image(REGISTRY, **{**IMAGE, "name": name})
    assert workspace.actions() == {ADDRESS: ["create"]}


def test_a_timeout_that_is_no_duration_is_refused_at_plan(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE, timeouts={"create": "soon"})
    assert workspace.terraform("validate").code == 0
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert 'error parsing "create" timeout: time: invalid duration "soon"' in planned.text


@pytest.mark.parametrize("argument", [*UNSUPPORTED])
def test_a_provider_argument_that_cannot_be_honoured_is_refused_before_a_build(
    workspace: Workspace, argument: str
) -> None:
    value = ["-v"] if argument == "ssh_opts" else "something"
    login = {"address": f"http://{REGISTRY}", "auth_disabled": True}
    workspace.configure(login, provider={argument: value}, resource={"docker_registry_image": {"this": IMAGE}})
    assert workspace.actions() == {ADDRESS: ["create"]}
    applied = workspace.apply()
    assert applied.code == 1
    assert f"{argument} is not supported by the stand-in provider" in applied.text


def test_a_login_without_an_address_is_refused(workspace: Workspace) -> None:
    workspace.configure({"address": ""}, resource={"docker_registry_image": {"this": IMAGE}})
    assert 'expected "registry_auth.0.address" to not be an empty string' in workspace.terraform("validate").text


def test_an_unknown_docker_context_is_refused_at_plan(workspace: Workspace) -> None:
    workspace.configure(None, provider={"context": "no-such"}, resource={"docker_registry_image": {"this": IMAGE}})
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert "Error loading Docker context 'no-such': " in planned.text


def test_an_image_without_a_login_for_its_registry_is_not_read(applied: Workspace) -> None:
    applied.image("localhost:2", **IMAGE)
    planned = applied.terraform("plan")
    assert planned.code == 1
    assert (
        "resourceDockerRegistryImageRead: Unable to get authConfig for registry: "
        "no auth config found for registry localhost:1 in auth configs: localhost:2"
    ) in planned.text


def test_a_docker_configuration_that_is_missing_is_refused_at_plan(workspace: Workspace) -> None:
    workspace.variables["DOCKER_CONFIG"] = "nowhere.json"
    workspace.configure({"address": REGISTRY}, resource={"docker_registry_image": {"this": IMAGE}})
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert (
        "Error loading registry auth config: could not open config file from filePath: nowhere.json. "
        "Error: open nowhere.json: no such file or directory"
    ) in planned.text


def test_a_login_still_unknown_counts_as_an_empty_one(workspace: Workspace) -> None:
    workspace.variables["DOCKER_CONFIG"] = "nowhere.json"
    login = {"address": REGISTRY, "username": "${terraform_data.this.id}", "password": "secret"}
    images = {"docker_registry_image": {"this": IMAGE}, "terraform_data": {"this": {}}}
    workspace.configure(login, resource=images)
    assert "could not open config file from filePath: nowhere.json" in workspace.terraform("plan").text


ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def ecr_login(address: str, password: str) -> JSON:
    return {"address": address, "username": "AWS", "password": password}


@pytest.mark.parametrize(
    ("address", "password", "place"),
    [(ECR, "emulator-token", 8), (f"https://{ECR}/v2", "emulator-token", 8), ("public.ecr.aws", "abc", 0)],
)
def test_an_ecr_password_in_no_known_form_ends_the_process(
    workspace: Workspace, address: str, password: str, place: int
) -> None:
    login = ecr_login(address, password)
    workspace.configure(login, resource={"docker_registry_image": {"this": IMAGE}})
    workspace.variables |= {"TF_LOG": "debug", "TF_LOG_PATH": "terraform.log"}
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert "Plugin did not respond" in planned.text
    assert "ConfigureProvider" in planned.text
    log = (workspace.root / "terraform.log").read_text()
    assert f"Error creating registry request: illegal base64 data at input byte {place}" in log
    assert "exit status 1" in log


def test_an_ecr_password_from_the_environment_ends_the_process_too(workspace: Workspace) -> None:
    workspace.variables |= {"DOCKER_REGISTRY_USER": "AWS", "DOCKER_REGISTRY_PASS": "emulator-token"}
    workspace.configure({"address": ECR}, resource={"docker_registry_image": {"this": IMAGE}})
    assert "Plugin did not respond" in workspace.terraform("plan").text


@pytest.mark.parametrize(
    "login",
    [
        ecr_login(ECR, "eyJwYXlsb2FkIjoi.not-base64"),
        ecr_login(ECR, "AWS:not-base64"),
        ecr_login(ECR, base64.b64encode(b"AWS:token").decode()),
        ecr_login(ECR, ""),
        ecr_login(f"{ECR}:443", "not-base64"),
        ecr_login(f"{ECR}.cn", "not-base64"),
        ecr_login(REGISTRY, "not-base64"),
        {"address": ECR, "auth_disabled": True},
        {"address": ECR, "config_file_content": json.dumps({"auths": {ECR: {"username": "AWS", "password": "-"}}})},
        {"address": ECR, "config_file_content": "{}"},
    ],
)
def test_every_other_login_is_accepted_at_plan(workspace: Workspace, login: JSON) -> None:
    workspace.configure(login, resource={"docker_registry_image": {"this": IMAGE}})
    planned = workspace.terraform("plan")
    assert planned.code == 0, planned.text


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


@pytest.mark.parametrize(
    ("tag", "password", "refusal"),
    [
        ("2", "secret", "got bad response from registry: 404 Not Found"),
        ("1", "wrong", "bad credentials: 401 Unauthorized"),
    ],
)
def test_the_data_source_passes_on_the_registrys_refusal(
    workspace: Workspace, guarded_registry: str, tag: str, password: str, refusal: str
) -> None:
    login = {"address": f"http://{guarded_registry}", "username": "me", "password": password}
    workspace.configure(login, data=data(f"{guarded_registry}/app:{tag}"))
    planned = workspace.terraform("plan")
    assert planned.code == 1
    assert f"Got error when attempting to fetch image version app:{tag} from registry: {refusal}" in planned.text


def test_the_data_source_fetches_the_token_that_a_registry_asks_for(workspace: Workspace, token_registry: str) -> None:
    login = {"address": f"http://{token_registry}", "username": "me", "password": "secret"}
    workspace.configure(login, data=data(f"{token_registry}/app:1"))
    assert workspace.apply().code == 0
    assert workspace.state("data.docker_registry_image.this")["sha256_digest"] == DIGEST


def test_the_data_source_says_that_no_token_was_given(workspace: Workspace, token_registry: str) -> None:
    login = {"address": f"http://{token_registry}", "username": "me", "password": "wrong"}
    workspace.configure(login, data=data(f"{token_registry}/app:1"))
    assert "got bad response from registry: 403 Forbidden" in workspace.terraform("plan").text


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
