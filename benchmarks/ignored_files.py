"""How long a plan takes by the number of files that .dockerignore keeps out of the image.

    python -m benchmarks.ignored_files

One root for each number, planned in turns against an emulator of its own, each as often as the others. The ratios of the
medians to a context without such files are the result; the seconds are this machine's.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.plan_time import measure
from benchmarks.runs import own_emulator, spread, terraform_environment
from harness import Root
from harness.root import copy_project
from sandbox import emulator
from sandbox.overrides import AWS_PROVIDER
from sandbox.paths import ROOT

ROUNDS = 5
NUMBERS = (0, 2_000, 6_000, 20_000)
IN_A_FOLDER = 25
# Twenty as a project has them, of which half name something that is there.
MATCHING = (".venv", "**/__pycache__", "**/*.pyc", ".git", "node_modules", "*.md", "**/.env", "docs", "tests/", "dist")
OTHERS = (
    ".tox",
    ".idea",
    "**/*.egg-info",
    "**/.DS_Store",
    "coverage*",
    "build",
    ".mypy_cache",
    "*.log",
    "!keep.log",
    "!docs/api",
)
FILES = (
    "Dockerfile",
    "main.py",
    "a/__pycache__/main.pyc",
    "x.pyc",
    ".git/HEAD",
    "node_modules/a.js",
    "README.md",
    "a/.env",
    "docs/a",
    "tests/a",
    "dist/a",
)
MODULE = """
provider "docker" {}

module "api" {
  source = "../modules/lambda_container_api"

  name  = "ignored"
  image = { build = { context = "app" } }
  auth  = { iam = {} }
}
"""


def context(folder: Path, ignored: int) -> None:
    """Write a small application, and beside it an environment of so many files, 25 in a folder, which is not sent."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text\n")
    for number in range(ignored):
        package = folder / ".venv/lib/python3.13/site-packages" / f"package_{number // IN_A_FOLDER}"
        package.mkdir(parents=True, exist_ok=True)
        (package / f"module_{number}.py").write_text("x = 1\n")
    (folder / ".dockerignore").write_text("\n".join(MATCHING + OTHERS) + "\n")


def roots(folder: Path, aws: emulator.Emulator) -> dict[str, Root]:
    """Return a root for each number, initialised."""
    environment = terraform_environment(aws)
    copy_project(ROOT, folder, ("modules", "versions.tf"))
    made: dict[str, Root] = {}
    for number in NUMBERS:
        path = folder / f"ignored-{number}"
        context(path / "app", number)
        root = made[f"{number:,}"] = Root(path, environment=environment)
        root.write("versions.tf", (folder / "versions.tf").read_text())
        root.write("main.tf", AWS_PROVIDER + MODULE)
        root.init()
    return made


def main() -> None:
    """Measure, and print a line for each number."""
    with own_emulator() as aws, tempfile.TemporaryDirectory() as folder:
        seconds = measure(roots(Path(folder) / "roots", aws), ROUNDS)
    median = {number: statistics.median(times) for number, times in seconds.items()}
    for number, times in seconds.items():
        print(f"{number:>6} ignored {spread(times)}  / 0: {median[number] / median['0']:.2f}")


if __name__ == "__main__":
    main()
