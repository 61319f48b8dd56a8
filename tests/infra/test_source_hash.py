"""The source hash: which changes it covers, and which files of the context the builder gets.

Most tests plan `source.tf` alone, as a module without providers: all cases are calls in one plan. Refusals and what depends on them
need a plan of the whole module.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import PlanError, Root, states
from sandbox.engine import Engine
from sandbox.overrides import AWS_PROVIDER
from sandbox.paths import MODULE

Hashed = Mapping[str, Mapping[str, Any]]
Roots = Callable[[str, Mapping[str, str] | None], Root]

SOURCE = """
variable "function" {
  type = object({ architecture = string })
}

output "files" {
  value = local.source_files
}

output "hash" {
  value = local.source_hash
}
"""
ROOT = """
variable "cases" {
  type = map(object({
    architecture = string
    build = object({
      args        = map(string)
      context     = string
      dockerfile  = string
      log_file    = optional(string)
      source_hash = optional(string)
      target      = optional(string)
    })
  }))
}

module "case" {
  source   = "./source"
  for_each = var.cases

  image    = { build = each.value.build }
  function = { architecture = each.value.architecture }
}

output "cases" {
  value = module.case
}
"""

DOCKERFILE = "FROM scratch AS last\nCOPY . /\n"
FILES = {"main.py": "print('hello')\n", "util/text.py": "x = 1\n", "README.md": "hello\n"}
IGNORE = {".dockerignore": "*.md\n"}

# Changes to the same base: files (None deletes), and build arguments.
SAME_HASH: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "no change": ({}, {}),
    "an ignored file added": ({"NEWS.md": "new\n"}, {}),
    "an ignored file changed": ({"README.md": "goodbye\n"}, {}),
    "an ignored file deleted": ({"README.md": None}, {}),
    "a build log": ({}, {"log_file": "build.log"}),
    "a null build argument": ({}, {"args": {"PYTHON": None}}),
}
OTHER_HASH: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "a file added": ({"new.py": "\n"}, {}),
    "a file changed": ({"main.py": "print('goodbye')\n"}, {}),
    "a file deleted": ({"util/text.py": None}, {}),
    "a file renamed": ({"main.py": None, "app.py": FILES["main.py"]}, {}),
    "a file moved to another folder": ({"util/text.py": None, "lib/text.py": FILES["util/text.py"]}, {}),
    "two files with their contents swapped": (
        {"main.py": FILES["util/text.py"], "util/text.py": FILES["main.py"]},
        {},
    ),
    "an exception added to the ignore file": ({".dockerignore": "*.md\n!README.md\n"}, {}),
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


@dataclass(frozen=True)
class Rules:
    """A .dockerignore, the context's files that it ignores, and the names of context and ignore file.

    `skipped_by_classic_builder` is not ignored, but the classic builder does not enter an ignored folder unless an exception's
    text begins with it. Hashing such files causes at most an unnecessary build.
    """

    text: str
    ignored: Set[str]
    tree: Set[str] = field(default_factory=lambda: TREE)
    links: Mapping[str, str] = field(default_factory=dict)
    skipped_by_classic_builder: Set[str] = frozenset()
    context: str = "context"
    file: str = ""

    @property
    def sent(self) -> set[str]:
        """Files that the builder gets."""
        return set(self.tree - self.ignored)

    def write(self, folder: Path) -> None:
        """Write the context and, next to it, its Dockerfile. The ignore file ignores itself, so that only the tree is sent."""
        for path in self.tree:
            (folder / self.context / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / self.context / path).write_text("text\n")
        for path, target in self.links.items():
            (folder / self.context / path).symlink_to(target)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /sent/\n")
        ignore_file = folder / (self.file or f"{self.context}/.dockerignore")
        ignore_file.write_text(f"{self.text}\n.dockerignore\n", newline="", encoding="utf-8")


RULES: dict[str, Rules] = {
    "a file at the top": Rules("main.py", {"main.py"}),
    "a file by extension, at the top only": Rules("*.md", {"README.md"}),
    "by extension at any depth": Rules("**/*.md", {"README.md", "docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with its content": Rules("docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with a trailing slash": Rules("docs/", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with a leading slash": Rules("/docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder with a leading dot and slash": Rules("./docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a folder at the top only": Rules("build", {"build/out.bin"}),
    "a folder at any depth": Rules("**/build", {"build/out.bin", "src/build/gen.py"}),
    "the content of a folder": Rules("docs/*", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "everything below a folder": Rules("docs/**", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "a pattern for one level": Rules("*/temp*", {"src/temp1/y.py"}),
    "a pattern for two levels": Rules("*/*/temp*", {"src/lib/temp2/z.py"}),
    "one character": Rules("file?.txt", {"file1.txt", "file2.txt", "filea.txt"}),
    "a range of characters": Rules("file[0-9].txt", {"file1.txt", "file2.txt"}),
    "an exception": Rules("docs\n!docs/keep.md", {"docs/a.md", "docs/deep/b.md"}),
    "an exception for a folder": Rules("docs/*\n!docs/deep", {"docs/a.md", "docs/keep.md"}),
    "an exception before its rule": Rules("!docs/keep.md\ndocs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}),
    "everything except": Rules("*\n!app\n!main.py", TREE - {"app/__init__.py", "app/__pycache__/x.pyc", "main.py"}),
    "an exception to an exception": Rules("*\n!app\napp/__pycache__", TREE - {"app/__init__.py"}),
    "hidden files at any depth": Rules("**/.env", {".env", "sub/.env"}),
    "comments, blank lines, surrounding spaces": Rules("# docs\n\n  main.py  \n", {"main.py"}),
    "CRLF line ends": Rules("main.py\r\nfile1.txt\r\n", {"main.py", "file1.txt"}),
    "braces are literal": Rules("{main,other}.py", {"{main,other}.py"}),
    "a path with ..": Rules("docs/../main.py", {"main.py"}),
    "a byte order mark": Rules("\ufeffmain.py", {"main.py"}),
    "a # that does not begin its line": Rules("main.py # not\n #a", {"#a"}, {"main.py", "#a", "b"}),
    "spaces after the exclamation mark": Rules("docs\n! docs/keep.md", {"docs/a.md", "docs/deep/b.md"}),
    "trailing spaces and tabs": Rules(
        "main.py \t \ndocs/\t", {"main.py", "docs/a.md", "docs/keep.md", "docs/deep/b.md"}
    ),
    "two asterisks before an extension": Rules(
        "**.pyc", {"x.pyc", "a/x.pyc", "a/b/x.pyc"}, {"x.pyc", "a/x.pyc", "a/b/x.pyc", "a/x.py"}
    ),
    "an exception of two asterisks before an extension": Rules(
        "**\n!**.py",
        {"x.txt", "a/x.txt"},
        {"x.py", "a/x.py", "x.txt", "a/x.txt"},
        skipped_by_classic_builder={"a/x.py"},
    ),
    "two asterisks inside a name": Rules("a**b", {"ab", "a/x/b"}, {"ab", "axb", "a/x/b", "ax/yb", "c"}),
    "two asterisks at a name's end": Rules("a**", {"a", "ab", "ac/d", "ac/e/f"}, {"a", "ab", "ac/d", "ac/e/f", "b/a"}),
    "two asterisks between folders": Rules(
        "a/**/b", {"a/b", "a/x/b", "a/x/y/b"}, {"a/b", "a/x/b", "a/x/y/b", "b", "c/a/b"}
    ),
    "two asterisks at both ends": Rules("**/a/**", {"a/b", "x/a/c", "x/a/y/d"}, {"a/b", "x/a/c", "x/a/y/d", "x/b"}),
    "two asterisks and one": Rules(
        "**/*.d/*.md", {"x.d/a.md", "y/x.d/a.md"}, {"x.d/a.md", "y/x.d/a.md", "x.d/y/a.md", "a.md"}
    ),
    "three asterisks": Rules("***/x", {"a/x", "a/b/x"}, {"x", "a/x", "a/b/x", "y"}),
    "folders only": Rules("*/", {"a/x", "a/b/x", "y"}, {"a/x", "a/b/x", "y"}),
    "character classes": Rules("[a-c]x[^0-9]", {"axy", "cx-"}, {"axy", "cx-", "dxy", "ax1", "ax"}),
    "an asterisk in a character class is not a member of it": Rules(
        "[*.]a", {".]a", "[.]a"}, {"*a", ".a", ".]a", "[.]a", "xa"}
    ),
    "an exclamation mark in a character class is literal": Rules("[!a]x", {"!x", "ax"}, {"!x", "ax", "bx"}),
    "a bracket in a character class": Rules("[\\]]x", {"]x"}, {"]x", "\\x", "x"}),
    "escapes": Rules(
        "\\*.md\n\\?\n\\[a]\n\\a.b", {"*.md", "?", "[a]"}, {"*.md", "x.md", "?", "x", "[a]", "a", "a.b", "axb"}
    ),
    "an escaped exclamation mark": Rules("\\!a", {"!a"}, {"!a", "a"}),
    "an escaped comment": Rules("\\#a", {"#a"}, {"#a", "a"}),
    "the context itself": Rules(".\n./\n/", set()),
    "paths outside the context": Rules("../main.py\n..\n/../file1.txt", {"file1.txt"}),
    "paths that are not clean": Rules("docs//./a.md\n./docs/deep/../keep.md", {"docs/a.md", "docs/keep.md"}),
    "wildcards in the context's own path": Rules(
        "**/*.md\n!docs/*.md", {"README.md", "docs/deep/b.md"}, context="[a-z]*{b,c}?"
    ),
    "a dangling symlink that is ignored": Rules(
        "*\n!main.py", TREE - {"main.py"}, links={"gone": "nowhere", "docs/gone": "../nowhere"}
    ),
    "an exception inside an ignored folder": Rules("docs\n!docs/deep/b.md", {"docs/a.md", "docs/keep.md"}),
    "an exception for a folder that is not ignored itself": Rules(
        "**/*.md\n!docs", {"README.md", "docs/a.md", "docs/keep.md", "docs/deep/b.md"}
    ),
    "an exception inside a folder that is ignored again": Rules(
        "nm\n!nm/keep\n**/nm", {"nm/a", "x/nm/b"}, {"nm/a", "nm/keep/f", "x/nm/b", "m"}
    ),
    "alternating rules and exceptions": Rules(
        "a\n!a/b\na/b/c\n!a/b/c/d\na/b/c/d/e",
        {"a/x", "a/b/c/x", "a/b/c/d/e/x"},
        {"a/x", "a/b/x", "a/b/c/x", "a/b/c/d/x", "a/b/c/d/e/x"},
    ),
    "characters special only in regular expressions": Rules(
        "a+b\n(x)\nc.d\n^e$\n{f,g}\nh|i",
        {"a+b", "(x)", "c.d", "^e$", "{f,g}", "h|i"},
        {"a+b", "aab", "(x)", "x", "c.d", "cxd", "^e$", "e", "{f,g}", "f", "h|i", "h", "i"},
    ),
    "characters special only in regular expressions, with wildcards": Rules(
        "a+b*\n(x)*\nc.d*\n{f,g}*\n*$",
        {"a+b", "(x)", "c.d", "{f,g}", "^e$"},
        {"a+b", "aab", "(x)", "x", "c.d", "cxd", "^e$", "e", "{f,g}", "f"},
    ),
    "regular expression characters that Docker does not escape": Rules(
        "h|i*\nj{2}*\n^k*",
        {"h", "ha/b", "x/i", "jj", "jjx", "k"},
        {"h", "ha/b", "i", "x/i", "x/y", "j{2}", "j", "jj", "jjx", "^k", "k"} - {"i"},
    ),
    "names beyond ASCII": Rules(
        "é*\n**/?.ü\n日本", {"école", "a/ß.ü", "日本/a"}, {"école", "ecole", "a/ß.ü", "a/ss.ü", "日本/a", "日/a"}
    ),
    "spaces in names": Rules("a b\n*c  d", {"a b", "xc  d"}, {"a b", "a", "b", "xc  d", "xc d"}),
    "a Dockerfile's own ignore file": Rules(
        "docs", {"docs/a.md", "docs/keep.md", "docs/deep/b.md"}, file="Dockerfile.dockerignore"
    ),
}
# Lines that Docker rejects.
INVALID_PATTERNS = ("[", "a[", "a[b", "[]a", "[a-]", "[^]", "!", "a\\")

WHOLE_MODULE = (
    AWS_PROVIDER
    + """
provider "docker" {}

variable "images" {
  type = map(object({
    build = optional(object({
      context     = string
      dockerfile  = optional(string, "../Dockerfile")
      log_file    = optional(string)
      source_hash = optional(string)
    }))
    uri = optional(string)
  }))
}

module "case" {
  source   = "./modules/lambda_container_api"
  for_each = var.images

  name      = each.key
  image     = each.value
  auth      = { iam = {} }
  alarms    = null
  dashboard = false
}
"""
)
# Its outputs are not declared sensitive, so a sensitive value would be an error.
NOT_READ = """
resource "terraform_data" "digest" {}

module "secret" {
  source = "./modules/lambda_container_api"

  name      = "secret"
  image     = { build = sensitive({ context = "app", target = "last", log_file = "build.log", args = { TOKEN = "abc", GONE = null } }) }
  auth      = { iam = {} }
  alarms    = null
  dashboard = false
}

module "later" {
  source = "./modules/lambda_container_api"

  name      = "later"
  image     = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/later@sha256:${terraform_data.digest.id}" }
  auth      = { iam = {} }
  alarms    = null
  dashboard = false
}

output "hash" {
  value = module.secret.source_hash
}

output "images" {
  value = [module.secret.image_uri, module.later.image_uri]
}
"""


@dataclass(frozen=True)
class Refused:
    """Beginning of a message (… for the context's path), files besides main.py, and what the message names."""

    message: str
    files: Mapping[str, bytes]
    named: str = ""
    log_file: str | None = None


REFUSED: dict[str, Refused] = {
    "an ignore file in another encoding": Refused(
        "image.build: … cannot be read as UTF-8 text",
        {".dockerignore": "é\n".encode("latin-1")},
        "context/.dockerignore",
    ),
    "an ignore file that Docker refuses": Refused(
        "image.build: … contains lines that Docker rejects as patterns",
        {".dockerignore": "\n".join(INVALID_PATTERNS).encode()},
        f"context/.dockerignore contains lines that Docker rejects as patterns: {' '.join(INVALID_PATTERNS)}",
    ),
    "no file left": Refused(
        "image.build.context (…) contains no file that its .dockerignore lets through", {".dockerignore": b"**\n"}
    ),
    "a name in Unicode NFD": Refused(
        "image.build.context (…): Terraform cannot read", {"Cafe\u0301.md": b"text\n"}, "Café.md. Either"
    ),
    "files that Terraform writes": Refused(
        "image.build.context (…) contains files that Terraform itself writes",
        {
            ".terraform/modules/modules.json": b"{}",
            "terraform.tfstate": b"{}",
            "infra/x.tfplan": b"",
            ".terraform.lock.hcl": b"",
        },
        ".terraform/modules/modules.json, infra/x.tfplan, terraform.tfstate. Exclude",
    ),
    "its own build log": Refused(
        "image.build.context (…) contains files that Terraform itself writes",
        {},
        "build.log. Exclude",
        log_file="build.log",
    ),
}
WRONG_REGISTRY = "image.uri and repository.existing.url must be in ECR in the function's own region"
# Registry → accepted.
HOSTS = {
    "111122223333.dkr.ecr.us-east-1.amazonaws.com": False,
    "111122223333.dkr.ecr-fips.eu-central-1.amazonaws.com": False,
    "public.ecr.aws": False,
    "localhost:5000": False,
    "111122223333.dkr.ecr.eu-central-1.amazonaws.com": True,
    "111122223333.dkr-ecr.eu-central-1.on.aws": True,
}


MODES = (0o644, 0o755)
MODE_HASHES = ("bytes", "git ID")


class Cases:
    """Cases by name. Each is a folder, and an entry of the root's variable."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.names: dict[str, str] = {}
        self.inputs: dict[str, Any] = {}

    def add(self, name: str, architecture: str = "x86_64", context: str = "context", **build: Any) -> Path:
        """Create the case's folder and return it."""
        key = f"case-{len(self.names)}"
        folder = self.root.path / "cases" / key
        (folder / context).mkdir(parents=True)
        self.names[key] = name
        arguments: dict[str, Any] = {
            "context": f"cases/{key}/{context}",
            "dockerfile": "../Dockerfile",
            "args": {},
            "target": None,
            "log_file": None,
        }
        self.inputs[key] = {"architecture": architecture, "build": arguments | build}
        return folder


@pytest.fixture(scope="module")
def hashed(
    once_per_run: Callable[[str, Callable[[], Any]], Any], terraform_project: Path, terraform_roots: Roots
) -> Hashed:
    """Files and hash of every case, by name."""
    result: Hashed = once_per_run("source-hashes", lambda: _plan_hashes(terraform_project / MODULE, terraform_roots))
    return result


def _plan_hashes(module: Path, terraform_roots: Roots) -> Hashed:
    source, variables = ((module / name).read_text(encoding="utf-8") for name in ("source.tf", "variables.tf"))
    image = re.search(r'^variable "image" {$.*?^}$', variables, re.MULTILINE | re.DOTALL)
    assert image
    files = {"source/source.tf": source, "source/variables.tf": f"{SOURCE}\n{image[0]}\n"}
    cases = Cases(terraform_roots(".", {"main.tf": ROOT, **files}))

    for name, (changed, build) in {"base": ({}, {}), **SAME_HASH, **OTHER_HASH}.items():
        folder = cases.add(name, **build)
        for path, text in {"../Dockerfile": DOCKERFILE, **FILES, **IGNORE, **changed}.items():
            if text is not None:
                (folder / "context" / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / "context" / path).write_text(text)
    for name, rules in RULES.items():
        rules.write(cases.add(name, context=rules.context))
    for mode in MODES:
        _add_mode_cases(cases, mode)
    found = cases.root.plan(cases=cases.inputs).outputs["cases"]
    return {name: found[key] for key, name in cases.names.items()}


def _add_mode_cases(cases: Cases, mode: int) -> None:
    """Add a context with a file of that mode twice: hashed by its bytes, and by git's ID of the folder."""
    names = [f"{kind} of mode {mode:o}" for kind in MODE_HASHES]
    folder = cases.add(names[0])

    def git(*arguments: str) -> str:
        author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
        command = ["git", "-C", str(folder), *author, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "context/start").write_text("#!/bin/sh\n")
    (folder / "context/start").chmod(mode)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "change")
    (cases.add(names[1], source_hash=git("rev-parse", "HEAD:context")) / "Dockerfile").write_text(DOCKERFILE)


@pytest.mark.parametrize("change", SAME_HASH)
def test_hash_is_equal_after(change: str, hashed: Hashed) -> None:
    assert hashed[change]["hash"] == hashed["base"]["hash"]


@pytest.mark.parametrize("change", OTHER_HASH)
def test_hash_differs_after(change: str, hashed: Hashed) -> None:
    assert hashed[change]["hash"] != hashed["base"]["hash"]


def test_every_change_has_its_own_hash(hashed: Hashed) -> None:
    assert len({hashed[change]["hash"] for change in OTHER_HASH}) == len(OTHER_HASH)


def test_hash_equals_release_0_1_0s(hashed: Hashed) -> None:
    def encoded(value: Any) -> str:
        return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def content(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    sent = {path: content(text) for path, text in (FILES | IGNORE).items() if path != "README.md"}
    files = encoded({"files": sent, "dockerfile": content(DOCKERFILE)})

    expected: dict[str, Any] = {"content": files, "args": {}, "platform": "linux/amd64", "target": None}
    assert hashed["base"]["hash"] == encoded(expected)


def test_file_mode_changes_the_git_id_and_not_the_hash_of_bytes(hashed: Hashed) -> None:
    (plain, executable) = ({kind: hashed[f"{kind} of mode {mode:o}"]["hash"] for kind in MODE_HASHES} for mode in MODES)

    assert executable["bytes"] == plain["bytes"]
    assert executable["git ID"] != plain["git ID"]


@pytest.mark.parametrize("rules", RULES)
def test_hash_covers_the_builders_files_with(rules: str, hashed: Hashed) -> None:
    assert set(hashed[rules]["files"]) == RULES[rules].sent


@pytest.mark.engine
@pytest.mark.parametrize("rules", RULES)
def test_builder_gets_the_same_files_with(rules: str, tmp_path: Path, builder: str) -> None:
    if RULES[rules].file and builder != "BuildKit":
        pytest.skip(f"only BuildKit reads a Dockerfile's own ignore file, and the builder here is the {builder}")
    RULES[rules].write(tmp_path)

    skipped_by_classic_builder = set() if builder == "BuildKit" else RULES[rules].skipped_by_classic_builder
    assert _sent(tmp_path, RULES[rules].context) == RULES[rules].sent - skipped_by_classic_builder


@pytest.mark.engine
@pytest.mark.parametrize("line", INVALID_PATTERNS)
def test_builder_rejects_pattern(line: str, tmp_path: Path, builder: str) -> None:
    Rules(line, set()).write(tmp_path)

    with pytest.raises(subprocess.CalledProcessError) as refusal:
        _sent(tmp_path, "context")
    assert re.search(rb"syntax error in pattern|illegal exclusion pattern", refusal.value.stderr), (
        f"{builder}: {refusal.value.stderr!r}"
    )


@pytest.fixture(scope="module")
def builder(engine: Engine, note: Callable[[str], None]) -> str:
    """Docker's builder to compare with: BuildKit if its plug-in is installed, else the classic builder.

    Both match .dockerignore with moby's patternmatcher; with the classic builder, the CLI does so before it sends the context.
    """
    buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0
    name = "BuildKit" if buildx else "classic builder"
    note(f"ignore rules are compared with: {name}")
    return name


def _docker(*arguments: str) -> bytes:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True).stdout


def _sent(folder: Path, context: str) -> set[str]:
    """Build an image from the context, and return the files in it."""
    tag = f"sent-files:{uuid.uuid4().hex}"
    _docker("build", "--quiet", "--tag", tag, "--file", str(folder / "Dockerfile"), str(folder / context))
    container = _docker("create", tag, "none").decode().strip()
    try:
        with tarfile.open(fileobj=io.BytesIO(_docker("export", container))) as files:
            return {f.name.removeprefix("sent/") for f in files if f.isfile() and f.name.startswith("sent/")}
    finally:
        _docker("rm", container)
        _docker("rmi", tag)


@pytest.fixture(scope="module")
def refused(once_per_run: Callable[[str, Callable[[], Any]], Any], terraform_roots: Roots) -> Mapping[str, list[str]]:
    """Error messages for each case of REFUSED, from one plan."""

    def plan() -> list[str]:
        root, images = terraform_roots(".", {"main.tf": WHOLE_MODULE}), {}
        for number, case in enumerate(REFUSED.values()):
            folder = f"cases/{number}/context"
            root.write(f"cases/{number}/Dockerfile", DOCKERFILE)
            for path, content in {"main.py": b"\n", **case.files}.items():
                root.write(f"{folder}/{path}", "").write_bytes(content)
            images[f"case-{number}"] = {
                "build": {"context": folder, "log_file": case.log_file and f"{folder}/{case.log_file}"}
            }
        return _errors(root, images)

    messages: list[str] = once_per_run("refused-sources", plan)
    return {name: [text for text in messages if f"cases/{n}/context" in text] for n, name in enumerate(REFUSED)}


def _errors(root: Root, images: Mapping[str, Any]) -> list[str]:
    with pytest.raises(PlanError) as refusal:
        root.check(images=images)
    return [" ".join(d.detail.split()) for d in refusal.value.diagnostics if d.severity == "error"]


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_a_context_with(case: str, refused: Mapping[str, list[str]]) -> None:
    (message,) = refused[case]

    assert states(REFUSED[case].message, message)
    assert REFUSED[case].named in message


def test_accepts_image_uris_only_from_ecr_in_its_region(terraform_roots: Roots) -> None:
    images = {f"case-{n}": {"uri": f"{host}/orders@sha256:{'0' * 64}"} for n, host in enumerate(HOSTS)}

    errors = _errors(terraform_roots(".", {"main.tf": WHOLE_MODULE}), images)

    assert all(text.startswith(WRONG_REGISTRY) for text in errors)
    named = [re.search(r"does not pull from (\S+)\. Push", text) for text in errors]
    assert sorted(match[1] for match in named if match) == sorted(host for host in HOSTS if not HOSTS[host])


def test_sensitive_unknown_and_prehashed_images_plan(terraform_roots: Roots) -> None:
    root = terraform_roots(
        ".", {"main.tf": WHOLE_MODULE, "secret.tf": NOT_READ, "app/Dockerfile": DOCKERFILE, "Dockerfile": DOCKERFILE}
    )
    for case in REFUSED.values():
        for path, content in case.files.items():
            root.write(f"context/{path}", "").write_bytes(content)
    hashed = {"build": {"context": "context", "log_file": "context/build.log", "source_hash": "abc"}}

    outputs = root.plan(images={"elsewhere": hashed}).outputs

    assert re.fullmatch("[0-9a-f]{64}", outputs["hash"])
