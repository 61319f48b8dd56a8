"""Image names and logins, without Terraform."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker_provider.registry import (
    FatalError,
    ImageName,
    Login,
    RegistryError,
    find_login,
    read_logins,
)

ECR = "1.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_CONFIG", "DOCKER_REGISTRY_USER", "DOCKER_REGISTRY_PASS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("localhost:4566/a/b:c", ("localhost:4566", "a/b", "c")),
        ("localhost/app", ("localhost", "app", "latest")),
        (f"{ECR}/app:1", (ECR, "app", "1")),
        ("app:1", ("registry-1.docker.io", "library/app", "1")),
        ("me/app", ("registry-1.docker.io", "me/app", "latest")),
        ("me/team/app", ("me", "team/app", "latest")),
        ("a.test/app:1@sha256:ab", ("a.test", "app", "sha256:ab")),
        ("a.test/app@sha256:ab", ("a.test", "app@sha256", "ab")),
    ],
)
def test_image_name_is_parsed(name: str, parts: tuple[str, str, str]) -> None:
    assert ImageName.parse(name) == ImageName(*parts)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("!!!!", 0),
        ("====", 0),
        ("x===", 1),
        ("=AAA", 0),
        ("A=AA", 1),
        ("AA=A", 2),
        ("AA==A", 4),
        ("AAA=AAAA", 4),
        ("AAAAA", 4),
        ("AAAAAA", 4),
        ("A=", 1),
        ("AA=", 3),
        ("AAAAAA=", 7),
        ("YWJjZA=====", 8),
        ("A!\n", 1),
    ],
)
def test_invalid_base64_in_an_ecr_password_has_gos_error(text: str, position: int) -> None:
    # The cases of Go's own test of its decoder.
    with pytest.raises(FatalError, match=rf"illegal base64 data at input byte {position}$"):
        read_logins([{"address": ECR, "username": "AWS", "password": text}])


@pytest.mark.parametrize(
    ("password", "expected"),
    [("eyJx", "eyJx"), ("AWS:x", "x"), ("QVdTOng=", "AWS:x"), ("QVdT\nOng=\n", "AWS:x"), ("", "")],
)
def test_ecr_password_is_converted_for_the_engine(password: str, expected: str) -> None:
    assert read_logins([{"address": ECR, "username": "AWS", "password": password}])[ECR].password == expected


@pytest.mark.parametrize(
    ("registry", "password", "header"),
    [
        ("localhost:1", "x", "Basic bWU6eA=="),
        (ECR, "eyJx", "Basic " + base64.b64encode(b"AWS:eyJx").decode()),
        (ECR, "AWS:x", "Basic QVdTOng="),
        (ECR, "QVdTOng=", "Basic QVdTOng="),
        ("public.ecr.aws", "AWS:x", "Bearer QVdTOng="),
        ("ghcr.io", "x", "Bearer eA=="),
        ("mine.azurecr.io", "x", "Bearer eA=="),
    ],
)
def test_authorization_header_depends_on_the_registry(registry: str, password: str, header: str) -> None:
    assert Login(f"https://{registry}", "me", password).authorization(registry) == header


def docker_config(**content: Any) -> dict[str, str]:
    return {"address": "a.test", "config_file_content": json.dumps(content)}


def test_registry_missing_from_the_docker_configuration_is_anonymous() -> None:
    assert read_logins([docker_config(auths={"b.test": {}})]) == {"a.test": Login("https://a.test")}


def test_docker_hub_login_is_found_under_every_name() -> None:
    token = base64.b64encode(b"me:x").decode()
    content = json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": token}}})
    logins = read_logins([{"address": "registry-1.docker.io", "config_file_content": content}])
    assert find_login(logins, "docker.io") == Login("https://registry-1.docker.io", "me", "x")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(
        "#!/bin/sh\nread registry\n"
        'case "$1 $registry" in\n'
        '"get a.test") echo \'{"ServerURL": "a.test", "Username": "me", "Secret": "x"}\';;\n'
        '"get b.test") echo "credentials not found in native keychain"; exit 1;;\n'
        "*) echo broken; exit 1;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("helper")
@pytest.mark.parametrize("content", [{"credsStore": "test"}, {"credHelpers": {"a.test": "test"}}])
def test_credential_helper_is_used(content: dict[str, Any]) -> None:
    assert read_logins([docker_config(**content)]) == {"a.test": Login("https://a.test", "me", "x")}


@pytest.mark.usefixtures("helper")
def test_credential_helper_without_credentials_means_anonymous() -> None:
    assert read_logins([{**docker_config(credsStore="test"), "address": "b.test"}])["b.test"].username == ""


@pytest.mark.usefixtures("helper")
@pytest.mark.parametrize("name", ["test", "missing"])
def test_failing_credential_helper_is_an_error(tmp_path: Path, name: str) -> None:
    block = {**docker_config(credsStore=name), "address": "c.test"}
    with pytest.raises(RegistryError, match=r"couldn't find registry config for 'c\.test' in file content"):
        read_logins([block])
    file = tmp_path / "config.json"
    file.write_text(block["config_file_content"])
    with pytest.raises(RegistryError, match="the credentialhelper did not work or was not found"):
        read_logins([{"address": "c.test", "config_file": str(file)}])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"config_file_content": "no json"}, "Error parsing docker registry config json"),
        ({"config_file_content": "[]"}, "Error parsing docker registry config json"),
        ({"config_file": "nowhere"}, "could not open config file from filePath: nowhere"),
        ({"config_file": "~/nowhere"}, "could not open config file from filePath: /"),
    ],
)
def test_invalid_docker_configuration_is_an_error(arguments: dict[str, str], reason: str) -> None:
    with pytest.raises(RegistryError, match=reason):
        read_logins([{"address": "a.test", **arguments}])


def test_docker_config_may_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"a.test": {"username": "me", "password": "x"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert read_logins([{"address": "a.test"}])["a.test"].username == "me"


def test_missing_login_error_names_registries_and_no_password() -> None:
    with pytest.raises(RegistryError) as error:
        find_login({"a.test": Login("https://a.test", "me", "secret")}, "b.test")
    assert str(error.value) == "no auth config found for registry b.test in auth configs: a.test"
