"""Available real providers are used; the stand-in is the last resort, and is reported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox import docker_provider, providers, terraform
from sandbox.errors import SandboxError
from sandbox.providers import Providers


@pytest.fixture
def aws_mirror(request: pytest.FixtureRequest) -> Path:
    """This machine's mirror of the AWS provider, if Terraform does not find the providers by itself."""
    run: Providers = request.getfixturevalue("providers")
    if run.config is None:
        pytest.skip("Terraform finds the providers by itself: nothing to select")
    first = next(line for line in run.config.read_text().splitlines() if "path" in line)
    return Path(first.split('"')[1])


def test_stand_in_is_used_and_reported_without_a_docker_provider(tmp_path: Path, aws_mirror: Path) -> None:
    selected = providers.configure(tmp_path, [aws_mirror])
    assert selected.stand_in
    assert selected.docker == f"stand-in for {docker_provider.VERSION}"
    assert selected.environment() == {"TF_CLI_CONFIG_FILE": str(tmp_path / "terraform.rc")}


def test_docker_provider_in_a_mirror_replaces_the_stand_in(tmp_path: Path, aws_mirror: Path) -> None:
    # A provider in a mirror is assumed to be real.
    docker_provider.install(tmp_path / "theirs")
    selected = providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "theirs"])
    assert not selected.stand_in
    assert str(tmp_path / "theirs") in selected.docker
    assert not (tmp_path / "home/mirror").exists()


def test_missing_aws_provider_error_suggests_a_mirror(tmp_path: Path, aws_mirror: Path) -> None:
    with pytest.raises(SandboxError, match=r"hashicorp/aws[\s\S]*\.terraform\.d/plugins"):
        providers.configure(tmp_path, [])


def test_users_configuration_takes_precedence(tmp_path: Path, aws_mirror: Path, user_providers: Path) -> None:
    selected = providers.configure(tmp_path / "home", [])
    assert selected.config is None
    assert "found by Terraform itself" in selected.docker


@pytest.fixture
def user_providers(tmp_path: Path, aws_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    docker_provider.install(tmp_path / "mine")
    config = tmp_path / "mine.rc"
    blocks = "".join(
        f'filesystem_mirror {{\n path = "{path}"\n include = ["registry.terraform.io/{pattern}"]\n}}\n'
        for path, pattern in ((aws_mirror, "hashicorp/*"), (tmp_path / "mine", "kreuzwerker/*"))
    )
    config.write_text(f"provider_installation {{\n{blocks}}}\n")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    return config


def test_unsupported_versions_are_skipped(tmp_path: Path, aws_mirror: Path) -> None:
    docker_provider.install(tmp_path / "old")
    versions = tmp_path / "old" / terraform.find().product.registry / providers.DOCKER
    (versions / docker_provider.VERSION).rename(versions / "3.0.0")
    for program in versions.glob("3.0.0/*/*"):
        program.rename(program.with_name("terraform-provider-docker_v3.0.0"))
    selected = providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "old"])
    assert selected.stand_in


def test_users_mirror_is_used_for_a_single_provider(
    tmp_path: Path, aws_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mine.rc"
    config.write_text(f'provider_installation {{\n filesystem_mirror {{\n  path = "{aws_mirror}"\n }}\n}}\n')
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    monkeypatch.setattr(providers, "MIRRORS", [])
    assert list(providers._own_mirrors()) == [aws_mirror]
    selected = providers.configure(tmp_path / "home", providers._own_mirrors())
    assert selected.stand_in
    assert str(aws_mirror) in (tmp_path / "home/terraform.rc").read_text()


def test_configure_is_idempotent(tmp_path: Path, aws_mirror: Path) -> None:
    assert providers.configure(tmp_path, [aws_mirror]) == providers.configure(tmp_path, [aws_mirror])


def test_downloads_are_shared_as_a_plugin_cache(tmp_path: Path) -> None:
    cache = tmp_path / ".terraform/providers"
    package = cache / terraform.TERRAFORM.registry / providers.AWS / "6.0.0"
    package.mkdir(parents=True)
    (package / "linux_amd64").symlink_to(tmp_path)
    assert providers._downloads(tmp_path) is None  # linked to a mirror: nothing to share
    (package / "linux_amd64").unlink()
    (package / "linux_amd64").mkdir()
    assert providers._downloads(tmp_path) == cache
    assert Providers(None, "real", cache).environment()["TF_PLUGIN_CACHE_DIR"] == str(cache)


def test_users_plugin_cache_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", "/theirs")
    assert Providers(None, "real", tmp_path).environment() == {}


TOFU = """#!{python}
# A fake OpenTofu, since it may not be installed: Terraform that prints OpenTofu's version and uses OpenTofu's registry.
import os, pathlib, re, sys

if sys.argv[1:] == ["version"]:
    print("OpenTofu v1.12.6\\non linux_amd64")
    sys.exit()
for source in [*pathlib.Path().glob("*.tf"), *pathlib.Path("../../modules").rglob("*.tf")]:
    text = re.sub(r'(source *= *")((hashicorp|kreuzwerker)/)', r"\\1registry.opentofu.org/\\2", source.read_text())
    source.write_text(text)
os.execv("{terraform}", ["terraform", *sys.argv[1:]])
"""


@pytest.fixture
def tofu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake OpenTofu, selected by TERRAFORM."""
    program = tmp_path / "tofu"
    program.write_text(TOFU.format(python=sys.executable, terraform=terraform.program()))
    program.chmod(0o755)
    monkeypatch.setenv("TERRAFORM", str(program))
    return program


def test_terraform_mirror_and_stand_in_work_with_opentofu(tmp_path: Path, aws_mirror: Path, tofu: Path) -> None:
    home = tmp_path / "home"
    selected = providers.configure(home, [aws_mirror])
    assert selected.stand_in
    assert "registry.opentofu.org/hashicorp/*" in (home / "terraform.rc").read_text()
    assert (home / "mirror/registry.opentofu.org" / providers.DOCKER).is_dir()
    installed = home / "providers/found/.terraform/providers"
    assert sorted(path.name for path in installed.iterdir()) == ["registry.opentofu.org"]


def test_docker_provider_in_a_terraform_mirror_works_with_opentofu(
    tmp_path: Path, aws_mirror: Path, tofu: Path
) -> None:
    docker_provider.install(tmp_path / "theirs")
    assert not providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "theirs"]).stand_in


def test_missing_aws_provider_error_names_opentofus_registry(tmp_path: Path, aws_mirror: Path, tofu: Path) -> None:
    with pytest.raises(SandboxError, match=r"OpenTofu cannot get the provider registry\.opentofu\.org/hashicorp/aws"):
        providers.configure(tmp_path, [])
