"""Plans and refusals: none of these needs an engine, or a registry but the test's own.

Terraform and the provider's processes are most of what a case costs, so that cases share a root module wherever they can: each
has an object of its own in it, or a configuration of the provider of its own.
"""

import base64
import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.docker_provider.provider import UNSUPPORTED
from sandbox.docker_provider.registry import read_logins
from tests.docker_provider.conftest import Serve
from tests.docker_provider.workspace import DIGEST, JSON, SOURCE, GuardedRegistry, TokenRegistry, Told, Workspace

ADDRESS = "docker_registry_image.this"
REGISTRY = "localhost:1"  # nothing answers there
ANYONE: JSON = {"address": f"http://{REGISTRY}", "auth_disabled": True}
IMAGE: JSON = {
    "name": f"{REGISTRY}/app:1",
    "triggers": {"hash": "a"},
    "keep_remotely": True,
    "build": {"context": "context", "build_args": {"BASE": "a"}, "provenance": "false", "sbom": "false"},
}
OLD_DIGEST = "sha256:" + "1" * 64


def changed(build: JSON | None = None, **arguments: object) -> JSON:
    return {**IMAGE, **arguments, "build": {**IMAGE["build"], **(build or {})}}


def images(**arguments: JSON) -> JSON:
    return {"docker_registry_image": arguments}


@pytest.fixture(scope="module")
def attributes(make_workspace: Callable[[], Workspace]) -> JSON:
    """IMAGE in the state, as an apply leaves it: what its configuration plans, and a digest."""
    workspace = make_workspace()
    workspace.image(REGISTRY, **IMAGE)
    [planned] = workspace.plan()["planned_values"]["root_module"]["resources"]
    return {**planned["values"], "id": OLD_DIGEST, "sha256_digest": OLD_DIGEST}


def remember(workspace: Workspace, **applied: JSON) -> None:
    """Put images into the state, by the names of their resources."""
    resources = [
        {
            "mode": "managed",
            "type": "docker_registry_image",
            "name": name,
            "provider": f'provider["{SOURCE}"]',
            "instances": [{"schema_version": 0, "attributes": attributes}],
        }
        for name, attributes in applied.items()
    ]
    workspace.file("terraform.tfstate", json.dumps({"version": 4, "serial": 1, "resources": resources}))


REPLACED: dict[str, JSON] = {
    "name": changed(name=f"{REGISTRY}/app:2"),
    "triggers": changed(triggers={"hash": "b"}),
    "build_args": changed({"build_args": {"BASE": "b"}}),
    "context": changed({"context": "."}),
    "target": changed({"target": "slim"}),
    "secrets": changed({"secrets": [{"id": "token", "env": "TOKEN"}]}),
    # The real provider's schema does not mark these two, but its `build` is a set of objects, and a changed object is another one.
    "label": changed({"label": {"team": "a"}}),
    "tag": changed({"tag": ["localhost:1/app:latest"]}),
}
UPDATED: dict[str, JSON] = {
    "keep_remotely": changed(keep_remotely=False),
    "auth_config": changed(auth_config={"address": REGISTRY, "username": "me"}),
}
TIMEOUTS: dict[str, JSON] = {
    "one_timeout": changed(timeouts={"create": "5m"}),
    "both_timeouts": changed(timeouts={"create": "1h", "delete": "1m30.5s"}),
}
SAME = {
    "same": IMAGE,
    "defaults": changed({"dockerfile": "Dockerfile", "target": ""}, insecure_skip_verify=False),
}
BUILDS: dict[str, JSON] = {
    "limits": {"memory": 512, "shm_size": 1, "cpu_shares": 2, "cgroup_parent": "builds", "isolation": "default"},
    "buildx": {"cache_to": ["type=registry,ref=app:cache"], "additional_contexts": ["a=b"], "builder": "mine"},
    "ulimit": {"ulimit": [{"name": "nofile", "hard": 9, "soft": 9}]},
    "legacy": {"labels": {"a": "b"}, "squash": True, "security_opt": ["a"], "remote_context": "a", "build_id": "a"},
    "login": {"auth_config": [{"host_name": "a.test", "user_name": "me", "password": "secret"}]},
    "remote": {"context": "https://example.com/app.git"},
    "attestations": {"provenance": "mode=max", "sbom": "true"},
}
NAMES = {"without_registry": "app:1", "with_digest": f"{REGISTRY}/app@{DIGEST}", "no_name": "Not A Name"}


@pytest.fixture(scope="module")
def change(make_workspace: Callable[[], Workspace], attributes: JSON) -> Callable[[str], JSON]:
    """`change(name)`: what one plan without a refresh does to an image of those above."""
    workspace = make_workspace()
    applied = {**SAME, **TIMEOUTS, **UPDATED, **REPLACED}
    new = {name: changed(build) for name, build in BUILDS.items()}
    new |= {name: {**IMAGE, "name": image} for name, image in NAMES.items()}
    workspace.configure(ANYONE, resource=images(**applied, **new))
    remember(workspace, **dict.fromkeys(applied, attributes))
    changes = {change["name"]: change["change"] for change in workspace.plan("-refresh=false")["resource_changes"]}
    assert changes.keys() == applied.keys() | new.keys()
    return lambda name: dict(changes[name])


def test_the_same_configuration_plans_nothing(change: Callable[[str], JSON]) -> None:
    assert change("same")["actions"] == ["no-op"]


@pytest.mark.parametrize("name", REPLACED)
def test_what_makes_another_image_replaces(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["delete", "create"]
    assert change(name)["after_unknown"]["sha256_digest"] is True


@pytest.mark.parametrize("name", UPDATED)
def test_what_leaves_the_image_alone_is_planned_in_place_and_keeps_the_digest(
    change: Callable[[str], JSON], name: str
) -> None:
    assert change(name)["actions"] == ["update"]
    assert change(name)["after"]["sha256_digest"] == OLD_DIGEST


@pytest.mark.parametrize("name", TIMEOUTS)
def test_changed_timeouts_are_no_change(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["no-op"]


def test_arguments_spelt_out_with_their_default_plan_nothing(change: Callable[[str], JSON]) -> None:
    assert change("defaults")["actions"] == ["no-op"]


@pytest.mark.parametrize("name", BUILDS)
def test_every_argument_of_a_build_is_accepted_at_plan(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["create"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_accepted_at_plan(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["create"]


def test_a_registry_that_does_not_answer_drops_the_image_from_the_state(workspace: Workspace, attributes: JSON) -> None:
    workspace.image(REGISTRY, **IMAGE)
    remember(workspace, this=attributes)
    assert workspace.told("plan") == Told(0, {ADDRESS: "create"})


@pytest.fixture(scope="module")
def updated(make_workspace: Callable[[], Workspace], serve: Serve, attributes: JSON) -> tuple[Told, dict[str, JSON]]:
    """How an update in place of two images ended, only one of whose registries answers, and the state after it."""
    workspace, registry = make_workspace(), serve(GuardedRegistry)
    login = {"address": f"http://{registry}", "username": "me", "password": "secret"}
    answered: JSON = {"name": f"{registry}/app:1"}
    after = {"answered": changed(**answered, keep_remotely=False), "unanswered": changed(keep_remotely=False)}
    workspace.configure([login, ANYONE], resource=images(**after))
    remember(workspace, answered=attributes | answered, unanswered=attributes)
    told = workspace.told("apply", "-refresh=false", "-auto-approve")
    return told, workspace.states()


def test_an_update_in_place_reads_the_digest_again(updated: tuple[Told, dict[str, JSON]]) -> None:
    told, states = updated
    address = "docker_registry_image.answered"
    assert told.actions[address] == "update"
    assert address not in told.errors
    assert states[address]["sha256_digest"] == DIGEST
    assert states[address]["keep_remotely"] is False


def test_an_update_in_place_without_an_answer_fails_and_keeps_the_state(
    updated: tuple[Told, dict[str, JSON]],
) -> None:
    told, states = updated
    address = "docker_registry_image.unanswered"
    assert told.code == 1
    assert told.actions[address] == "update"
    [error] = told.errors[""]
    assert f"the provider returned a null object for {address}" in error
    assert states[address]["keep_remotely"] is True


ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def ecr_login(address: str, password: str) -> JSON:
    return {"address": address, "username": "AWS", "password": password}


# Configurations of the provider that a plan must refuse, DOCKER_CONFIG naming no file, and in which words.
CONFIGURATIONS: dict[str, tuple[JSON, str]] = {
    "unknown_context": ({"context": "no-such"}, "Error loading Docker context 'no-such': "),
    "no_configuration": (
        {"registry_auth": {"address": REGISTRY}},
        "Error loading registry auth config: could not open config file from filePath: nowhere.json. "
        "Error: open nowhere.json: no such file or directory",
    ),
    # Values still unknown count as empty ones.
    "unknown_login": (
        {"registry_auth": {"address": REGISTRY, "username": "${terraform_data.this.id}", "password": "secret"}},
        "could not open config file from filePath: nowhere.json",
    ),
}
# ECR passwords in no known form, each with the place of its first wrong character.
ENDING: dict[str, tuple[JSON, int]] = {
    "ecr": (ecr_login(ECR, "emulator-token"), 8),
    "ecr_by_url": (ecr_login(f"https://{ECR}/v2", "another-token"), 7),
    "public_ecr": (ecr_login("public.ecr.aws", "abc"), 0),
}


@pytest.fixture(scope="module")
def refused(make_workspace: Callable[[], Workspace], serve: Serve, attributes: JSON) -> tuple[Told, str]:
    """What a plan says of all that it must refuse, and its log."""
    workspace = make_workspace()
    basic, wrong, token = serve(GuardedRegistry), serve(GuardedRegistry), serve(TokenRegistry)
    passwords = {basic: "secret", wrong: "wrong", token: "wrong"}
    logins = [{"address": f"http://{at}", "username": "me", "password": key} for at, key in passwords.items()]
    providers = {
        **{name: arguments for name, (arguments, _) in CONFIGURATIONS.items()},
        **{name: {"registry_auth": login} for name, (login, _) in ENDING.items()},
        "other_login": {"registry_auth": {"address": "http://localhost:2", "auth_disabled": True}},
    }
    made = {name: {**IMAGE, "provider": f"docker.{name}"} for name in providers}
    made |= {"fine": IMAGE, "soon": {**IMAGE, "timeouts": {"create": "soon"}}}
    read = {"missing": f"{basic}/app:2", "wrong_password": f"{wrong}/app:1", "no_token": f"{token}/app:1"}
    workspace.configure_providers(
        [{"registry_auth": [*logins, ANYONE]}, *({"alias": name, **given} for name, given in providers.items())],
        resource={**images(**made), "terraform_data": {"this": {}}},
        data=images(**{name: {"name": image} for name, image in read.items()}),
    )
    remember(workspace, other_login=attributes)
    workspace.variables |= {"DOCKER_CONFIG": "nowhere.json", "TF_LOG": "debug", "TF_LOG_PATH": "terraform.log"}
    told = workspace.told("plan")
    assert told.code == 1
    return told, (workspace.root / "terraform.log").read_text()


def errors(refused: tuple[Told, str], address: str) -> str:
    told, _ = refused
    [error] = told.errors[address]
    return error


def test_what_is_refused_at_plan_is_valid_and_leaves_the_others_alone(refused: tuple[Told, str]) -> None:
    # A plan begins with a validation, and an error in it would have been its only result.
    told, _ = refused
    assert told.actions == {"docker_registry_image.fine": "create", "terraform_data.this": "create"}


def test_a_timeout_that_is_no_duration_is_refused_at_plan(refused: tuple[Told, str]) -> None:
    expected = 'error parsing "create" timeout: time: invalid duration "soon"'
    assert expected in errors(refused, "docker_registry_image.soon")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_cannot_be_used_is_refused_at_plan(refused: tuple[Told, str], name: str) -> None:
    assert CONFIGURATIONS[name][1] in errors(refused, f'provider["{SOURCE}"].{name}')


def test_an_image_without_a_login_for_its_registry_is_not_read(refused: tuple[Told, str]) -> None:
    assert (
        "resourceDockerRegistryImageRead: Unable to get authConfig for registry: "
        "no auth config found for registry localhost:1 in auth configs: localhost:2"
    ) in errors(refused, "docker_registry_image.other_login")


@pytest.mark.parametrize("name", ENDING)
def test_an_ecr_password_in_no_known_form_ends_the_process(refused: tuple[Told, str], name: str) -> None:
    told, log = refused
    _, place = ENDING[name]
    assert f"docker_registry_image.{name}" not in told.actions
    assert len(told.errors[""]) == len(ENDING)
    assert all("Plugin did not respond" in error and "ConfigureProvider" in error for error in told.errors[""])
    assert f"Error creating registry request: illegal base64 data at input byte {place}\n" in log
    assert log.count('error="exit status 1"') == len(ENDING)


def test_an_ecr_password_from_the_environment_ends_the_process_too(workspace: Workspace) -> None:
    workspace.variables |= {"DOCKER_REGISTRY_USER": "AWS", "DOCKER_REGISTRY_PASS": "emulator-token"}
    workspace.configure({"address": ECR}, resource=images(this=IMAGE))
    assert "Plugin did not respond" in workspace.terraform("plan").text


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        (
            "missing",
            "Got error when attempting to fetch image version app:2 from registry: "
            "got bad response from registry: 404 Not Found",
        ),
        (
            "wrong_password",
            "Got error when attempting to fetch image version app:1 from registry: bad credentials: 401 Unauthorized",
        ),
        ("no_token", "got bad response from registry: 403 Forbidden"),
    ],
    ids=["missing", "wrong_password", "no_token"],
)
def test_the_data_source_passes_on_the_registrys_refusal(refused: tuple[Told, str], name: str, refusal: str) -> None:
    assert refusal in errors(refused, f"data.docker_registry_image.{name}")


@pytest.fixture(scope="module")
def unsupported(make_workspace: Callable[[], Workspace]) -> Told:
    """How an apply ended that has one argument of the provider that the stand-in cannot honour for each of its images."""
    workspace = make_workspace()
    values = {argument: ["-v"] if argument == "ssh_opts" else "something" for argument in UNSUPPORTED}
    workspace.configure_providers(
        [{"alias": argument, "registry_auth": ANYONE, argument: value} for argument, value in values.items()],
        resource=images(**{argument: {**IMAGE, "provider": f"docker.{argument}"} for argument in values}),
    )
    return workspace.told("apply", "-auto-approve")


@pytest.mark.parametrize("argument", [*UNSUPPORTED])
def test_a_provider_argument_that_cannot_be_honoured_is_refused_before_a_build(
    unsupported: Told, argument: str
) -> None:
    address = f"docker_registry_image.{argument}"
    assert unsupported.code == 1
    assert unsupported.actions[address] == "create"
    [error] = unsupported.errors[address]
    assert f"{argument} is not supported by the stand-in provider" in error


def test_a_login_without_an_address_is_refused(workspace: Workspace) -> None:
    workspace.configure({"address": ""}, resource=images(this=IMAGE))
    assert 'expected "registry_auth.0.address" to not be an empty string' in workspace.terraform("validate").text


LOGINS = {
    "eyJ and no base64": ecr_login(ECR, "eyJwYXlsb2FkIjoi.not-base64"),
    "name and no base64": ecr_login(ECR, "AWS:not-base64"),
    "base64": ecr_login(ECR, base64.b64encode(b"AWS:token").decode()),
    "no password": ecr_login(ECR, ""),
    "ECR with a port": ecr_login(f"{ECR}:443", "not-base64"),
    "ECR in China": ecr_login(f"{ECR}.cn", "not-base64"),
    "another registry": ecr_login(REGISTRY, "not-base64"),
    "none": {"address": ECR, "auth_disabled": True},
    "from a configuration": {
        "address": ECR,
        "config_file_content": json.dumps({"auths": {ECR: {"username": "AWS", "password": "-"}}}),
    },
    "from an empty configuration": {"address": ECR, "config_file_content": "{}"},
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_every_other_login_is_accepted(login: JSON) -> None:
    assert list(read_logins([login])) == [login["address"]]


def test_every_other_login_is_accepted_at_plan(workspace: Workspace) -> None:
    workspace.configure([*LOGINS.values()], resource=images(this=IMAGE))
    assert workspace.told("plan") == Told(0, {ADDRESS: "create"})


def config_json(registry: str) -> str:
    return json.dumps({"auths": {registry: {"auth": base64.b64encode(b"me:secret").decode()}}})


@pytest.fixture(scope="module")
def digests(make_workspace: Callable[[], Workspace], serve: Serve) -> dict[str, str]:
    """What the data source reads, by the way in which the provider gets its login, each of another registry."""
    workspace = make_workspace()
    basic = {way: serve(GuardedRegistry) for way in ("password", "config_file_content", "config_file")}
    registries = {**basic, "token": serve(TokenRegistry)}
    workspace.file("login.json", config_json(basic["config_file"]))
    ways: dict[str, JSON] = {
        "password": {"username": "me", "password": "secret"},
        "config_file_content": {"config_file_content": config_json(basic["config_file_content"])},
        "config_file": {"config_file": "login.json"},
        "token": {"username": "me", "password": "secret"},
    }
    workspace.configure(
        [{"address": f"http://{registries[way]}", **login} for way, login in ways.items()],
        data=images(**{way: {"name": f"{registry}/app:1"} for way, registry in registries.items()}),
    )
    assert workspace.apply().code == 0
    states = workspace.states()
    return {way: states[f"data.docker_registry_image.{way}"]["sha256_digest"] for way in registries}


def test_the_data_source_reads_the_digest_with_user_and_password(digests: dict[str, str]) -> None:
    assert digests["password"] == DIGEST


@pytest.mark.parametrize("argument", ["config_file_content", "config_file"])
def test_a_login_may_come_from_a_docker_configuration(digests: dict[str, str], argument: str) -> None:
    assert digests[argument] == DIGEST


def test_the_data_source_fetches_the_token_that_a_registry_asks_for(digests: dict[str, str]) -> None:
    assert digests["token"] == DIGEST


def test_several_runs_at_once_do_not_meet_and_leave_nothing_in_the_home(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: workspace.terraform("plan", "-lock=false"), range(3)))
    assert [run.code for run in runs] == [0] * 3, runs
    written = {path.name for path in (workspace.root / "home").rglob("*")}
    assert written <= {".terraform.d", "checkpoint_signature", "checkpoint_cache"}


def test_it_runs_without_a_home_to_write_to(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    workspace.variables["HOME"] = "/nonexistent"
    assert workspace.terraform("plan").code == 0


def test_the_program_runs_from_anywhere_and_says_what_it_is(mirror: Path, tmp_path: Path) -> None:
    # A module of this name in the working directory would break a program that looks for modules there.
    (tmp_path / "grpc.py").write_text("raise RuntimeError")
    [program] = mirror.rglob("terraform-provider-docker_v*")
    assert len(program.read_text().splitlines()[0]) < 127
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    started = subprocess.run([program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert started.returncode == 1
    assert started.stderr == "This is a Terraform provider: Terraform starts it.\n"
