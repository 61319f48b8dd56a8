"""Every HCL block of a page is planned: here, or in the test that runs its page.

A block with a call of one of this project's modules is a whole root, except for its providers. A block of arguments is put into a call
of the module. Terraform's `plan` is the judge in both cases. Before a block that cannot be planned, a page says why:

    <!-- not planned: a fragment of the backend's own configuration -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.pytest_plugin import RootFactory
from sandbox import overrides, paths
from sandbox.paths import ROOT

# Page → the test that runs or plans its blocks.
TESTED_WITH_THEIR_PAGE: Mapping[str, str] = {
    "docs/adopting.md": "tests/e2e/test_adoption.py",
    "docs/harness.md": "tests/harness/test_docs.py",
    "docs/policy.md": "tests/policy/test_documentation.py",
}
BLOCK = re.compile(
    r"^(?:<!-- not planned: (?P<reason>[^\n]+) -->\n\n?)?```hcl[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
# Types of variables, which are generated from variables.tf.
GENERATED = re.compile(r"<!-- begin inputs -->.*?<!-- end inputs -->", re.DOTALL)
SOURCE = re.compile(r'source\s*= "[^"]*modules/(\w+)(\?ref=[^"]*)?"')
REQUIRED = {"name": '"documented"', "image": '{ build = { context = "app" } }', "auth": "{ iam = {} }"}
PROVIDERS = 'provider "aws" {}\n\nprovider "docker" {}\n'


@dataclass(frozen=True)
class Block:
    """An HCL block of a page."""

    page: str
    number: int
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def is_call(self) -> bool:
        return bool(SOURCE.search(self.text))

    @property
    def is_arguments(self) -> bool:
        return bool(re.match(r"\w+\s*= ", self.text))

    def configuration(self) -> str:
        """Return the block as the main file of examples/minimal."""
        if self.is_call:
            return PROVIDERS + SOURCE.sub(r'source = "../../modules/\1"', self.text)
        given = set(re.findall(r"^(\w+)\s*=", self.text, re.MULTILINE))
        others = "".join(f"{name} = {value}\n" for name, value in REQUIRED.items() if name not in given)
        variables = "".join(
            f'variable "{name}" {{\n  default = "documented"\n}}\n'
            for name in set(re.findall(r"\bvar\.(\w+)", self.text))
        )
        call = f'module "api" {{\nsource = "../../{paths.MODULE}"\n{others}{self.text}}}\n'
        return PROVIDERS + variables + call


def blocks_of(page: Path) -> list[Block]:
    text = GENERATED.sub("", page.read_text())
    found = BLOCK.finditer(text)
    return [
        Block(page.relative_to(ROOT).as_posix(), number, match["text"], match["reason"])
        for number, match in enumerate(found, 1)
    ]


PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("modules/*/README.md")]
PAGES += [page for page in ROOT.glob("examples/**/README.md") if ".terraform" not in page.parts]
BLOCKS = [block for page in sorted(PAGES) for block in blocks_of(page)]
PLANNED = [block for block in BLOCKS if block.page not in TESTED_WITH_THEIR_PAGE and not block.reason]


@pytest.mark.parametrize("block", PLANNED, ids=str)
def test_block_is_planned(block: Block, terraform_root: RootFactory) -> None:
    assert block.is_call or block.is_arguments, (
        "this block is neither a call of a module nor arguments of one: plan it in a test, or say why not"
    )
    override = overrides.planned(ROOT / "examples/minimal")
    root = terraform_root("examples/minimal", files={"main.tf": block.configuration(), overrides.NAME: override})

    plan = root.plan()

    assert plan.changed
    assert [str(warning) for warning in plan.warnings] == []


@pytest.mark.parametrize("page", TESTED_WITH_THEIR_PAGE)
def test_page_has_blocks_and_a_test_that_reads_it(page: str) -> None:
    assert [block for block in BLOCKS if block.page == page]
    assert page in (ROOT / TESTED_WITH_THEIR_PAGE[page]).read_text()


def test_readmes_of_project_and_module_are_planned() -> None:
    assert {"README.md", f"{paths.MODULE}/README.md"} <= {block.page for block in PLANNED}
