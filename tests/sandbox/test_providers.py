"""Real providers win wherever they can be had; the stand-in is the last resort, and says what it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox import docker_provider, providers, terraform
from sandbox.errors import SandboxError
from sandbox.providers import Providers


@pytest.fixture
def aws_mirror(request: pytest.FixtureRequest) -> Path:
    """The mirror that this machine's AWS provider lies in, where Terraform does not find the providers by itself."""
    run: Providers = request.getfixturevalue("providers")
    if run.config is None:
        pytest.skip("Terraform finds the providers by itself here: there is nothing to decide")
    first = next(line for line in run.config.read_text().splitlines() if "path" in line)
    return Path(first.split('"')[1])


def test_without_a_docker_provider_the_stand_in_serves_and_says_so(tmp_path: Path, aws_mirror: Path) -> None:
    decided = providers.configure(tmp_path, [aws_mirror])
    assert decided.stand_in
    assert decided.docker == f"stand-in for {docker_provider.VERSION}"
    assert decided.environment() == {"TF_CLI_CONFIG_FILE": str(tmp_path / "terraform.rc")}


def test_a_docker_provider_in_a_mirror_wins_over_the_stand_in(tmp_path: Path, aws_mirror: Path) -> None:
    # What lies there is taken for real: where it came from is its owner's business.
    docker_provider.install(tmp_path / "theirs")
    decided = providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "theirs"])
    assert not decided.stand_in
    assert str(tmp_path / "theirs") in decided.docker
    assert not (tmp_path / "home/mirror").exists()


def test_without_an_aws_provider_the_message_says_where_one_may_be_put(tmp_path: Path, aws_mirror: Path) -> None:
    with pytest.raises(SandboxError, match=r"hashicorp/aws[\s\S]*\.terraform\.d/plugins"):
        providers.configure(tmp_path, [])


def test_what_the_user_has_configured_wins_over_everything(
    tmp_path: Path, aws_mirror: Path, providers_of_the_user: Path
) -> None:
    decided = providers.configure(tmp_path / "home", [])
    assert decided.config is None
    assert "found by Terraform itself" in decided.docker


@pytest.fixture
def providers_of_the_user(tmp_path: Path, aws_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    docker_provider.install(tmp_path / "mine")
    config = tmp_path / "mine.rc"
    blocks = "".join(
        f'filesystem_mirror {{\n path = "{path}"\n include = ["registry.terraform.io/{pattern}"]\n}}\n'
        for path, pattern in ((aws_mirror, "hashicorp/*"), (tmp_path / "mine", "kreuzwerker/*"))
    )
    config.write_text(f"provider_installation {{\n{blocks}}}\n")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    return config


def test_versions_that_the_module_does_not_take_are_passed_over(tmp_path: Path, aws_mirror: Path) -> None:
    docker_provider.install(tmp_path / "old")
    versions = tmp_path / "old" / terraform.find().product.registry / providers.DOCKER
    (versions / docker_provider.VERSION).rename(versions / "3.0.0")
    for program in versions.glob("3.0.0/*/*"):
        program.rename(program.with_name("terraform-provider-docker_v3.0.0"))
    decided = providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "old"])
    assert decided.stand_in


def test_the_users_own_mirror_serves_even_where_it_holds_only_one_of_the_two(
    tmp_path: Path, aws_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mine.rc"
    config.write_text(f'provider_installation {{\n filesystem_mirror {{\n  path = "{aws_mirror}"\n }}\n}}\n')
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    monkeypatch.setattr(providers, "MIRRORS", [])
    assert list(providers._own_mirrors()) == [aws_mirror]
    decided = providers.configure(tmp_path / "home", providers._own_mirrors())
    assert decided.stand_in
    assert str(aws_mirror) in (tmp_path / "home/terraform.rc").read_text()


def test_a_decision_is_the_same_the_second_time(tmp_path: Path, aws_mirror: Path) -> None:
    assert providers.configure(tmp_path, [aws_mirror]) == providers.configure(tmp_path, [aws_mirror])


def test_what_was_downloaded_once_is_not_downloaded_by_every_root(tmp_path: Path) -> None:
    kept = tmp_path / ".terraform/providers"
    package = kept / terraform.TERRAFORM.registry / providers.AWS / "6.0.0"
    package.mkdir(parents=True)
    (package / "linux_amd64").symlink_to(tmp_path)
    assert providers._downloads(tmp_path) is None  # linked to a mirror: nothing to share
    (package / "linux_amd64").unlink()
    (package / "linux_amd64").mkdir()
    assert providers._downloads(tmp_path) == kept
    assert Providers(None, "real", kept).environment()["TF_PLUGIN_CACHE_DIR"] == str(kept)


def test_a_cache_of_the_users_own_is_left_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", "/theirs")
    assert Providers(None, "real", tmp_path).environment() == {}


TOFU = """#!{python}
# A stand-in for OpenTofu, which is not to be had here: HashiCorp's Terraform, which tells OpenTofu's version and looks for
# providers where OpenTofu does.
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
    """The stand-in for OpenTofu, chosen by the variable."""
    program = tmp_path / "tofu"
    program.write_text(TOFU.format(python=sys.executable, terraform=terraform.program()))
    program.chmod(0o755)
    monkeypatch.setenv("TERRAFORM", str(program))
    return program


def test_a_mirror_of_terraforms_serves_opentofu_and_so_does_the_stand_in(
    tmp_path: Path, aws_mirror: Path, tofu: Path
) -> None:
    home = tmp_path / "home"
    decided = providers.configure(home, [aws_mirror])
    assert decided.stand_in
    assert "registry.opentofu.org/hashicorp/*" in (home / "terraform.rc").read_text()
    assert (home / "mirror/registry.opentofu.org" / providers.DOCKER).is_dir()
    installed = home / "providers/found/.terraform/providers"
    assert sorted(path.name for path in installed.iterdir()) == ["registry.opentofu.org"]


def test_a_docker_provider_in_a_mirror_of_terraforms_serves_opentofu(
    tmp_path: Path, aws_mirror: Path, tofu: Path
) -> None:
    docker_provider.install(tmp_path / "theirs")
    assert not providers.configure(tmp_path / "home", [aws_mirror, tmp_path / "theirs"]).stand_in


def test_without_an_aws_provider_opentofu_is_named_with_its_registry(
    tmp_path: Path, aws_mirror: Path, tofu: Path
) -> None:
    with pytest.raises(SandboxError, match=r"OpenTofu cannot get the provider registry\.opentofu\.org/hashicorp/aws"):
        providers.configure(tmp_path, [])
