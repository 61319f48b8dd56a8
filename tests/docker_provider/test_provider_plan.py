"""Plans and errors, without an engine or an external registry.

Starting Terraform and the provider takes most of the time, so cases share a root module where possible, each with its own
resource or provider configuration.
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
from tests.docker_provider.workspace import DIGEST, JSON, SOURCE, GuardedRegistry, JsonResult, TokenRegistry, Workspace

ADDRESS = "docker_registry_image.this"
REGISTRY = "localhost:1"  # nothing listens there
ANONYMOUS: JSON = {"address": f"http://{REGISTRY}", "auth_disabled": True}
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
    """IMAGE in the state after an apply: its planned values, and a digest."""
    workspace = make_workspace()
    workspace.image(REGISTRY, **IMAGE)
    [planned] = workspace.plan()["planned_values"]["root_module"]["resources"]
    return {**planned["values"], "id": OLD_DIGEST, "sha256_digest": OLD_DIGEST}


def write_state(workspace: Workspace, **applied: JSON) -> None:
    """Write a state with images, by resource name."""
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
    # Not marked in the real provider's schema, but `build` is a set of objects, so any change replaces.
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
    """`change(name)`: the change of one of the images above in a plan without a refresh."""
    workspace = make_workspace()
    applied = {**SAME, **TIMEOUTS, **UPDATED, **REPLACED}
    new = {name: changed(build) for name, build in BUILDS.items()}
    new |= {name: {**IMAGE, "name": image} for name, image in NAMES.items()}
    workspace.configure(ANONYMOUS, resource=images(**applied, **new))
    write_state(workspace, **dict.fromkeys(applied, attributes))
    changes = {change["name"]: change["change"] for change in workspace.plan("-refresh=false")["resource_changes"]}
    assert changes.keys() == applied.keys() | new.keys()
    return lambda name: dict(changes[name])


def test_same_configuration_is_no_change(change: Callable[[str], JSON]) -> None:
    assert change("same")["actions"] == ["no-op"]


@pytest.mark.parametrize("name", REPLACED)
def test_argument_that_affects_the_image_replaces_it(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["delete", "create"]
    assert change(name)["after_unknown"]["sha256_digest"] is True


@pytest.mark.parametrize("name", UPDATED)
def test_other_argument_is_updated_in_place_and_keeps_the_digest(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["update"]
    assert change(name)["after"]["sha256_digest"] == OLD_DIGEST


@pytest.mark.parametrize("name", TIMEOUTS)
def test_changed_timeouts_are_ignored(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["no-op"]


def test_explicit_default_is_no_change(change: Callable[[str], JSON]) -> None:
    assert change("defaults")["actions"] == ["no-op"]


@pytest.mark.parametrize("name", BUILDS)
def test_every_build_argument_is_accepted_at_plan(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["create"]


@pytest.mark.parametrize("name", NAMES)
def test_every_image_name_is_accepted_at_plan(change: Callable[[str], JSON], name: str) -> None:
    assert change(name)["actions"] == ["create"]


def test_unreachable_registry_removes_the_image_from_the_state(workspace: Workspace, attributes: JSON) -> None:
    workspace.image(REGISTRY, **IMAGE)
    write_state(workspace, this=attributes)
    assert workspace.run_json("plan") == JsonResult(0, {ADDRESS: "create"})


@pytest.fixture(scope="module")
def updated(
    make_workspace: Callable[[], Workspace], serve: Serve, attributes: JSON
) -> tuple[JsonResult, dict[str, JSON]]:
    """The result of an update in place of two images, with only one registry reachable, and the state after it."""
    workspace, registry = make_workspace(), serve(GuardedRegistry)
    login = {"address": f"http://{registry}", "username": "me", "password": "secret"}
    reachable: JSON = {"name": f"{registry}/app:1"}
    after = {"reachable": changed(**reachable, keep_remotely=False), "unreachable": changed(keep_remotely=False)}
    workspace.configure([login, ANONYMOUS], resource=images(**after))
    write_state(workspace, reachable=attributes | reachable, unreachable=attributes)
    result = workspace.run_json("apply", "-refresh=false", "-auto-approve")
    return result, workspace.states()


def test_update_in_place_reads_the_digest_again(updated: tuple[JsonResult, dict[str, JSON]]) -> None:
    result, states = updated
    address = "docker_registry_image.reachable"
    assert result.actions[address] == "update"
    assert address not in result.errors
    assert states[address]["sha256_digest"] == DIGEST
    assert states[address]["keep_remotely"] is False


def test_update_in_place_fails_if_the_registry_is_unreachable(
    updated: tuple[JsonResult, dict[str, JSON]],
) -> None:
    result, states = updated
    address = "docker_registry_image.unreachable"
    assert result.code == 1
    assert result.actions[address] == "update"
    [error] = result.errors[""]
    assert f"the provider returned a null object for {address}" in error
    assert states[address]["keep_remotely"] is True


ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def ecr_login(address: str, password: str) -> JSON:
    return {"address": address, "username": "AWS", "password": password}


# Provider configurations that a plan must reject, with DOCKER_CONFIG set to a missing file, and the expected errors.
CONFIGURATIONS: dict[str, tuple[JSON, str]] = {
    "unknown_context": ({"context": "no-such"}, "Error loading Docker context 'no-such': "),
    "no_configuration": (
        {"registry_auth": {"address": REGISTRY}},
        "Error loading registry auth config: could not open config file from filePath: nowhere.json. "
        "Error: open nowhere.json: no such file or directory",
    ),
    # Unknown values count as empty.
    "unknown_login": (
        {"registry_auth": {"address": REGISTRY, "username": "${terraform_data.this.id}", "password": "secret"}},
        "could not open config file from filePath: nowhere.json",
    ),
}
# ECR passwords in unknown formats, each with the position of its first invalid character.
FATAL: dict[str, tuple[JSON, int]] = {
    "ecr": (ecr_login(ECR, "emulator-token"), 8),
    "ecr_by_url": (ecr_login(f"https://{ECR}/v2", "another-token"), 7),
    "public_ecr": (ecr_login("public.ecr.aws", "abc"), 0),
}


@pytest.fixture(scope="module")
def refused(make_workspace: Callable[[], Workspace], serve: Serve, attributes: JSON) -> tuple[JsonResult, str]:
    """The result of a plan with everything that it must reject, and its log."""
    workspace = make_workspace()
    basic, wrong, token = serve(GuardedRegistry), serve(GuardedRegistry), serve(TokenRegistry)
    passwords = {basic: "secret", wrong: "wrong", token: "wrong"}
    logins = [{"address": f"http://{at}", "username": "me", "password": key} for at, key in passwords.items()]
    providers = {
        **{name: arguments for name, (arguments, _) in CONFIGURATIONS.items()},
        **{name: {"registry_auth": login} for name, (login, _) in FATAL.items()},
        "other_login": {"registry_auth": {"address": "http://localhost:2", "auth_disabled": True}},
    }
    resources = {name: {**IMAGE, "provider": f"docker.{name}"} for name in providers}
    resources |= {"valid": IMAGE, "soon": {**IMAGE, "timeouts": {"create": "soon"}}}
    read = {"missing": f"{basic}/app:2", "wrong_password": f"{wrong}/app:1", "no_token": f"{token}/app:1"}
    workspace.configure_providers(
        [
            {"registry_auth": [*logins, ANONYMOUS]},
            *({"alias": name, **arguments} for name, arguments in providers.items()),
        ],
        resource={**images(**resources), "terraform_data": {"this": {}}},
        data=images(**{name: {"name": image} for name, image in read.items()}),
    )
    write_state(workspace, other_login=attributes)
    workspace.variables |= {"DOCKER_CONFIG": "nowhere.json", "TF_LOG": "debug", "TF_LOG_PATH": "terraform.log"}
    result = workspace.run_json("plan")
    assert result.code == 1
    return result, (workspace.root / "terraform.log").read_text()


def errors(refused: tuple[JsonResult, str], address: str) -> str:
    result, _ = refused
    [error] = result.errors[address]
    return error


def test_rejected_configurations_validate_and_do_not_affect_others(refused: tuple[JsonResult, str]) -> None:
    # A plan starts with validation; an error there would be its only result.
    result, _ = refused
    assert result.actions == {"docker_registry_image.valid": "create", "terraform_data.this": "create"}


def test_invalid_timeout_is_refused_at_plan(refused: tuple[JsonResult, str]) -> None:
    expected = 'error parsing "create" timeout: time: invalid duration "soon"'
    assert expected in errors(refused, "docker_registry_image.soon")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_invalid_provider_configuration_is_refused_at_plan(refused: tuple[JsonResult, str], name: str) -> None:
    assert CONFIGURATIONS[name][1] in errors(refused, f'provider["{SOURCE}"].{name}')


def test_image_without_a_login_is_an_error(refused: tuple[JsonResult, str]) -> None:
    assert (
        "resourceDockerRegistryImageRead: Unable to get authConfig for registry: "
        "no auth config found for registry localhost:1 in auth configs: localhost:2"
    ) in errors(refused, "docker_registry_image.other_login")


@pytest.mark.parametrize("name", FATAL)
def test_invalid_ecr_password_ends_the_process(refused: tuple[JsonResult, str], name: str) -> None:
    result, log = refused
    _, position = FATAL[name]
    assert f"docker_registry_image.{name}" not in result.actions
    assert len(result.errors[""]) == len(FATAL)
    assert all("Plugin did not respond" in error and "ConfigureProvider" in error for error in result.errors[""])
    assert f"Error creating registry request: illegal base64 data at input byte {position}\n" in log
    assert log.count('error="exit status 1"') == len(FATAL)


def test_invalid_ecr_password_in_the_environment_ends_the_process(workspace: Workspace) -> None:
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
def test_data_source_reports_the_registrys_error(refused: tuple[JsonResult, str], name: str, refusal: str) -> None:
    assert refusal in errors(refused, f"data.docker_registry_image.{name}")


@pytest.fixture(scope="module")
def unsupported(make_workspace: Callable[[], Workspace]) -> JsonResult:
    """The result of an apply with an image for each unsupported provider argument."""
    workspace = make_workspace()
    values = {argument: ["-v"] if argument == "ssh_opts" else "something" for argument in UNSUPPORTED}
    workspace.configure_providers(
        [{"alias": argument, "registry_auth": ANONYMOUS, argument: value} for argument, value in values.items()],
        resource=images(**{argument: {**IMAGE, "provider": f"docker.{argument}"} for argument in values}),
    )
    return workspace.run_json("apply", "-auto-approve")


@pytest.mark.parametrize("argument", [*UNSUPPORTED])
def test_unsupported_provider_argument_is_refused_before_a_build(unsupported: JsonResult, argument: str) -> None:
    address = f"docker_registry_image.{argument}"
    assert unsupported.code == 1
    assert unsupported.actions[address] == "create"
    [error] = unsupported.errors[address]
    assert f"{argument} is not supported by the stand-in provider" in error


def test_login_without_an_address_is_refused(workspace: Workspace) -> None:
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
def test_other_logins_are_accepted(login: JSON) -> None:
    assert list(read_logins([login])) == [login["address"]]


def test_other_logins_are_accepted_at_plan(workspace: Workspace) -> None:
    workspace.configure([*LOGINS.values()], resource=images(this=IMAGE))
    assert workspace.run_json("plan") == JsonResult(0, {ADDRESS: "create"})


def config_json(registry: str) -> str:
    return json.dumps({"auths": {registry: {"auth": base64.b64encode(b"me:secret").decode()}}})


@pytest.fixture(scope="module")
def digests(make_workspace: Callable[[], Workspace], serve: Serve) -> dict[str, str]:
    """Digests from the data source by source of the login, each from another registry."""
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


def test_data_source_uses_username_and_password(digests: dict[str, str]) -> None:
    assert digests["password"] == DIGEST


@pytest.mark.parametrize("argument", ["config_file_content", "config_file"])
def test_login_may_come_from_a_docker_configuration(digests: dict[str, str], argument: str) -> None:
    assert digests[argument] == DIGEST


def test_data_source_gets_a_token_if_required(digests: dict[str, str]) -> None:
    assert digests["token"] == DIGEST


def test_concurrent_runs_succeed_and_leave_nothing_in_the_home(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: workspace.terraform("plan", "-lock=false"), range(3)))
    assert [run.code for run in runs] == [0] * 3, runs
    written = {path.name for path in (workspace.root / "home").rglob("*")}
    assert written <= {".terraform.d", "checkpoint_signature", "checkpoint_cache"}


def test_runs_without_a_writable_home(workspace: Workspace) -> None:
    workspace.image(REGISTRY, **IMAGE)
    workspace.variables["HOME"] = "/nonexistent"
    assert workspace.terraform("plan").code == 0


def test_program_runs_from_any_folder_and_says_what_it_is(mirror: Path, tmp_path: Path) -> None:
    # It would shadow the real module if the working directory were on the path.
    (tmp_path / "grpc.py").write_text("raise RuntimeError")
    [program] = mirror.rglob("terraform-provider-docker_v*")
    assert len(program.read_text().splitlines()[0]) < 127
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    started = subprocess.run([program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert started.returncode == 1
    assert started.stderr == "This is a Terraform provider: Terraform starts it.\n"
