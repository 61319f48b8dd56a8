"""The commands of each example's README, run unchanged in an empty folder, except for the repository's URL.

The example's copy gets the sandbox's override before `terraform init`: the emulator instead of AWS. Applies, destroys and requests are
not run here; tests/e2e applies the examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.root import copy_project
from sandbox import overrides, paths
from sandbox.paths import ROOT
from tests.docs.conftest import blocks

EXAMPLES = paths.examples()
URL = "https://github.com/<you>/lambda_container_api.git"
TAG = re.compile(r"--branch (v[\d.]+)")
# First words of commands that need what a plan does not: a deployed API, or uv and an index of packages.
NOT_RUN = ("terraform apply", "terraform destroy", "curl", "uv")
# Its commands need the states' buckets: tests/delivery runs them as jobs.
IN_PIPELINES = {"environments"}
SECTIONS = ["When", "Cost", "Commands", "Destroy"]


def readme(example: str) -> Path:
    return ROOT / "examples" / example / "README.md"


def commands(example: str) -> list[str]:
    return [line for block in blocks(readme(example), "console") for line in block.content.splitlines()]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a repository with the working tree under the tag that the READMEs name."""
    (tag,) = {tag for example in EXAMPLES for tag in TAG.findall(readme(example).read_text())}
    folder = copy_project(
        ROOT, tmp_path_factory.mktemp("published") / "lambda_container_api", list(paths.EXAMPLE_SOURCES)
    )
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"], ["tag", tag]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return f"file://{folder}"


@pytest.fixture(scope="module")
def environment(
    terraform_environment: Mapping[str, str], terraform_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    # The READMEs run `terraform`, even if the tests run OpenTofu.
    programs = tmp_path_factory.mktemp("programs")
    (programs / "terraform").symlink_to(str(shutil.which(terraform_binary)))
    return (
        os.environ
        | terraform_environment
        | {"PATH": f"{programs}:{os.environ['PATH']}", "TF_INPUT": "0", "TF_CLI_ARGS": "-no-color"}
    )


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example not in IN_PIPELINES])
def test_commands_of_a_readme_plan_the_example(
    example: str, published: str, environment: dict[str, str], tmp_path: Path
) -> None:
    override = tmp_path / "override"
    override.write_text(overrides.planned(ROOT / "examples" / example))
    work = tmp_path / "work"
    work.mkdir()
    lines = [line for line in commands(example) if not line.startswith(NOT_RUN)]
    script = "\n".join(lines).replace(URL, published)
    script = script.replace("terraform init", f"cp {override} {overrides.NAME}\nterraform init", 1)

    # The last command checks what the README adds in order to destroy.
    result = subprocess.run(
        ["bash", "-ec", f"{script}\nterraform validate\nls"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy", result.stdout)
    assert any(line.endswith(".tfplan") for line in result.stdout.splitlines())
    module = next(path for path in work.rglob(".terraform/modules/modules.json")).read_text()
    assert "git::file://" in module  # the published module, not the clone's


@pytest.mark.parametrize("example", EXAMPLES)
def test_readme_says_what_when_cost_and_commands(example: str) -> None:
    text = readme(example).read_text()
    assert text.startswith(f"# {example}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    assert "us-east-1 list prices of 20" in text
    assert "https://aws.amazon.com/" in text
    assert f"make plan EXAMPLE={example}`" in text


def test_table_of_examples_is_complete() -> None:
    linked = re.findall(r"^\| \[`([\w-]+)`\]\(examples/", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(linked) == sorted([*EXAMPLES, Path(paths.LEGACY).name])
