"""What makes another image and what does not. All cases are planned at once, each as a call of the module."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import Root
from sandbox.engine import Engine
from sandbox.overrides import AWS_PROVIDER

Hashes = Mapping[str, str]

ROOT = (
    AWS_PROVIDER
    + """
provider "docker" {}

variable "cases" {
  type = map(object({
    architecture = string
    build        = object({
      args       = optional(map(string), {})
      context    = string
      dockerfile = string
      log_file   = optional(string)
      target     = optional(string)
    })
  }))
}

module "case" {
  source   = "./modules/lambda_container_api"
  for_each = var.cases

  name      = each.key
  image     = { build = each.value.build }
  function  = { architecture = each.value.architecture }
  auth      = { iam = {} }
  alarms    = null
  dashboard = false
}

output "hashes" {
  value = { for key, call in module.case : key => call.source_hash }
}
"""
)

FILES = {"main.py": "print('hello')\n", "util/text.py": "x = 1\n", "README.md": "hello\n"}
IGNORE = {".dockerignore": "*.md\n"}

# Each beside the same base: files to change (None: to take away), and arguments of the build to change.
SAME: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "nothing at all": ({}, {}),
    "an ignored file that appears": ({"NEWS.md": "new\n"}, {}),
    "an ignored file that changes": ({"README.md": "goodbye\n"}, {}),
    "an ignored file that goes": ({"README.md": None}, {}),
    "another build log": ({}, {"log_file": "build.log"}),
}
OTHER: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "a file that appears": ({"new.py": "\n"}, {}),
    "a file that changes": ({"main.py": "print('goodbye')\n"}, {}),
    "a file that goes": ({"util/text.py": None}, {}),
    "a file that is renamed": ({"main.py": None, "app.py": FILES["main.py"]}, {}),
    "a file that moves to another folder": ({"util/text.py": None, "lib/text.py": FILES["util/text.py"]}, {}),
    "two files that change their contents for each other's": (
        {"main.py": FILES["util/text.py"], "util/text.py": FILES["main.py"]},
        {},
    ),
    "an ignore file that lets a file through": ({".dockerignore": "*.md\n!README.md\n"}, {}),
    "the Dockerfile": ({"../Dockerfile": "FROM scratch AS last\nCOPY . /app/\n"}, {}),
    "a build argument": ({}, {"args": {"PYTHON": "3.13"}}),
    "the target": ({}, {"target": "last"}),
    "the platform": ({}, {"architecture": "arm64"}),
}

TREE = {
    "main.py",
    "{main,other}.py",
    "README.md",
    "file1.txt",
    "file2.txt",
    "filea.txt",
    ".env",
    "sub/.env",
    "sub/main.py",
    "docs/a.md",
    "docs/keep.md",
    "docs/deep/b.md",
    "app/__init__.py",
    "app/__pycache__/x.pyc",
    "build/out.bin",
    "src/build/gen.py",
    "src/temp1/y.py",
    "src/lib/temp2/z.py",
}

# .dockerignore → what of TREE it keeps back from the builder.
IGNORED: dict[str, tuple[str, set[str]]] = {
    "a file at the top": ("main.py", {"main.py"}),
    "a file by extension is one at the top": ("*.md", {"README.md"}),
    "by extension at any depth": ("**/*.md", {"README.md", "docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with all that is in it": ("docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with a trailing slash": ("docs/", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a leading slash means the same": ("/docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a leading dot and slash too": ("./docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder at the top is not one below": ("build", {"build/out.bin"}),
    "a folder at any depth": ("**/build", {"build/out.bin", "src/build/gen.py"}),
    "what is in a folder": ("docs/*", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "what is below a folder": ("docs/**", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a pattern for one level": ("*/temp*", {"src/temp1/y.py"}),
    "a pattern for two levels": ("*/*/temp*", {"src/lib/temp2/z.py"}),
    "one character": ("file?.txt", {"file1.txt", "file2.txt", "filea.txt"}),
    "a range of characters": ("file[0-9].txt", {"file1.txt", "file2.txt"}),
    "an exception": ("docs\n!docs/keep.md", {"docs/a.md", "docs/deep/b.md"}),
    "an exception for a folder": ("docs/*\n!docs/deep", {"docs/a.md", "docs/keep.md"}),
    "an exception that comes too early": ("!docs/keep.md\ndocs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "all but": ("*\n!app\n!main.py", TREE - {"app/__init__.py", "app/__pycache__/x.pyc", "main.py"}),
    "an exception's exception": ("*\n!app\napp/__pycache__", TREE - {"app/__init__.py"}),
    "hidden files at any depth": ("**/.env", {".env", "sub/.env"}),
    "comments, blank lines, blanks around": ("# docs\n\n  main.py  \n", {"main.py"}),
    "line ends of another system": ("main.py\r\nfile1.txt\r\n", {"main.py", "file1.txt"}),
    "braces are no alternatives": ("{main,other}.py", {"{main,other}.py"}),
    "a path with dots in it": ("docs/../main.py", {"main.py"}),
}


def ignore_file(text: str) -> str:
    # Last, so that no rule can let the file itself through: then the rules are all that two contexts differ in.
    return f"{text}\n.dockerignore\n"


@pytest.fixture(scope="module")
def hashes(
    once_per_run: Callable[[str, Callable[[], Any]], Any],
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Hashes:
    """The source hash of every case by its name; those of IGNORED twice, the second with only the files that are left."""
    planned: Hashes = once_per_run("source-hashes", lambda: _plan_all(terraform_roots))
    return planned


def _plan_all(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Hashes:
    root = terraform_roots(".", {"main.tf": ROOT})
    cases: dict[str, Any] = {}
    names: dict[str, str] = {}

    def case(name: str, files: Mapping[str, str], architecture: str = "x86_64", **build: Any) -> None:
        key = f"case-{len(cases)}"
        for path, text in {"../Dockerfile": "FROM scratch AS last\nCOPY . /\n", **files}.items():
            root.write(f"cases/{key}/context/{path}", text)
        names[key] = name
        cases[key] = {
            "architecture": architecture,
            "build": {"context": f"cases/{key}/context", "dockerfile": "../Dockerfile", **build},
        }

    case("base", FILES | IGNORE)
    for name, (changed, build) in {**SAME, **OTHER}.items():
        files = {p: t for p, t in {**FILES, **IGNORE, **changed}.items() if t is not None}
        case(name, files, **build)
    for name, (text, ignored) in IGNORED.items():
        case(name, dict.fromkeys(TREE, "text\n") | {".dockerignore": ignore_file(text)})
        case(f"{name}: sent", dict.fromkeys(TREE - ignored, "text\n"))
    outputs = root.plan(cases=cases).outputs
    return {names[key]: value for key, value in outputs["hashes"].items()}


@pytest.mark.parametrize("change", SAME)
def test_the_same_image_after(change: str, hashes: Hashes) -> None:
    assert hashes[change] == hashes["base"]


@pytest.mark.parametrize("change", OTHER)
def test_another_image_after(change: str, hashes: Hashes) -> None:
    assert hashes[change] != hashes["base"]


def test_every_change_makes_an_image_of_its_own(hashes: Hashes) -> None:
    assert len({hashes[change] for change in OTHER}) == len(OTHER)


@pytest.mark.parametrize("rule", IGNORED)
def test_the_hash_covers_what_the_builder_gets_of_a_context_with(rule: str, hashes: Hashes) -> None:
    assert hashes[rule] == hashes[f"{rule}: sent"]


@pytest.mark.engine
@pytest.mark.parametrize("rule", IGNORED)
def test_the_builder_really_gets_no_more_of_a_context_with(rule: str, tmp_path: Path, engine: Engine) -> None:
    text, ignored = IGNORED[rule]
    for path in TREE:
        (tmp_path / "context" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "context" / path).write_text("text\n")
    (tmp_path / "context/.dockerignore").write_text(ignore_file(text), newline="")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /sent/\n")

    assert _sent(tmp_path) == TREE - ignored


def _sent(folder: Path) -> set[str]:
    """Build an image of the context alone, and return the files that it holds."""

    def docker(*arguments: str) -> bytes:
        return subprocess.run(["docker", *arguments], check=True, capture_output=True).stdout

    tag = f"what-is-sent:{uuid.uuid4().hex}"
    docker("build", "--quiet", "--tag", tag, "--file", str(folder / "Dockerfile"), str(folder / "context"))
    container = docker("create", tag, "none").decode().strip()
    try:
        with tarfile.open(fileobj=io.BytesIO(docker("export", container))) as files:
            return {f.name.removeprefix("sent/") for f in files if f.isfile() and f.name.startswith("sent/")}
    finally:
        docker("rm", container)
        docker("rmi", tag)
