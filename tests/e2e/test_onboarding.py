"""The commands of docs/onboarding, run in a copy of the project with one sandbox, and what they print."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import emulator as emulators
from sandbox.base_image import BaseImage
from sandbox.emulator import neutral_environment
from sandbox.paths import ROOT
from sandbox.providers import Providers
from tests.service.documented import project_copy

PAGES = sorted(path.stem for path in (ROOT / "docs/onboarding").glob("*.md") if path.stem != "README")
FENCE = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PORTS = ("4566", "8000", "9000", "9001")
NAMES = ("first-image", "broken-image")
MARK = "@@onboarding@@"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
LONGEST_SECONDS = "400"


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says that it prints; "" where it does not say."""

    command: str
    output: str


def steps(page: str) -> list[Step]:
    """Return the commands of a page, preceded by those that write its files."""
    found = []
    for language, title, text in FENCE.findall(page):
        if title:
            folder = Path(title).parent
            found.append(Step(f"mkdir -p {folder} && cat > {title} <<'{MARK}'\n{text}{MARK}", ""))
        elif language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                found.append(Step(command, output))
    return found


def differences(steps: list[Step], printed: str) -> list[str]:
    """Return what is wrong with the output of `script(steps)`: a command that failed or printed something else."""
    *outputs, rest = re.split(rf"{MARK} (\d+)\n", printed)
    found = []
    for step, output, code in zip(steps, outputs[::2], outputs[1::2], strict=False):
        if code != "0":
            found.append(f"$ {step.command}\n{output}exit code {code}")
        elif step.output and not doctest.OutputChecker().check_output(step.output, output, OPTIONS):
            found.append(f"$ {step.command}\nexpected:\n{step.output}printed:\n{output}")
    if len(outputs) != 2 * len(steps):
        found.append(f"only {len(outputs) // 2} of {len(steps)} commands ran\n{rest}")
    return found


def script(steps: list[Step]) -> str:
    """Return a bash script that runs the steps until one fails, with a line after each: its exit code."""
    # Job control, as in a terminal: background jobs have a process group of their own.
    lines = ["set -m", "trap 'kill -INT $(jobs -p | sed s/^/-/) 2>/dev/null' EXIT"]
    for step in steps:
        lines += [step.command, f"code=$?; echo; echo '{MARK}' $code; [ $code = 0 ] || exit 1"]
    return "\n".join(lines) + "\n"


Run = Callable[[str], None]


@pytest.fixture(scope="module")
def project(
    base_image: BaseImage, providers: Providers, terraform_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = project_copy(tmp_path_factory.mktemp("project"))
    shutil.copy(ROOT / "Makefile", folder)
    # The pages run `terraform`, even if the tests run OpenTofu.
    (folder / "programs").mkdir()
    (folder / "programs/terraform").symlink_to(str(shutil.which(terraform_binary)))
    return folder


@pytest.fixture(scope="module")
def run(project: Path, base_image: BaseImage) -> Iterator[Run]:
    """Runs the commands of a page, on free ports instead of the page's."""
    ports = {port: str(emulators.free_port()) for port in PORTS}
    # The engine is the machine's: names of this run only.
    names = {name: f"{name}-{ports['4566']}" for name in NAMES}
    environment = neutral_environment() | {"PATH": f"{project}/programs:{os.environ['PATH']}"}
    environment |= {"PORT": ports["4566"], "SERVICE_PORT": ports["8000"], "TERRAFORM": "terraform"}

    def run(page: str) -> None:
        text = (ROOT / "docs/onboarding" / f"{page}.md").read_text()
        text = text.replace("docker build ", f"docker build --build-arg BASE_IMAGE={base_image.reference} ")
        for word, own in (ports | names).items():
            text = re.sub(rf"\b{word}\b", own, text)
        commands = ["timeout", LONGEST_SECONDS, "bash"]
        done = subprocess.run(
            [*commands, "-c", script(steps(text))],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        found = differences(steps(text), done.stdout)
        assert not found, "\n\n".join([*found, done.stderr[-3000:]])

    try:
        run("README")
        yield run
    finally:
        subprocess.run(["docker", "rm", "--force", *names.values()], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", *names.values()], capture_output=True, check=False)
        subprocess.run(["make", "down"], cwd=project, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_print_what_it_says(page: str, run: Run, project: Path) -> None:
    before = files(project)
    run(page)
    assert files(project) == before


def files(project: Path) -> set[Path]:
    """Return the project's files, without those of Python and of the sandbox."""
    found = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    return {path for path in found if not {".sandbox", ".venvs", "__pycache__"} & set(path.parts)}


def test_pages_are_short_and_in_the_index() -> None:
    index = (ROOT / "docs/onboarding/README.md").read_text()
    for page in PAGES:
        assert f"]({page}.md)" in index
        assert len((ROOT / "docs/onboarding" / f"{page}.md").read_text().splitlines()) <= 80


WRONG = [("echo a", "b\n", "expected:\nb\n"), ("false", "", "exit code 1"), ("exit 3", "", "only 0 of 1 commands ran")]


@pytest.mark.parametrize(("command", "output", "message"), WRONG)
def test_wrong_page_is_found(command: str, output: str, message: str) -> None:
    page = steps(f"```console\n$ {command}\n{output}```\n")
    done = subprocess.run(["bash", "-c", script(page)], capture_output=True, text=True, check=False)
    assert message in "\n".join(differences(page, done.stdout))
