"""Write each module's input and output tables, and the deployer's table of actions, into its README, or check them.

    python -m tools.module_docs [--check]

Their only sources are variables.tf, outputs.tf and actions.yaml. With --check, exit code 1 means a stale README.
"""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from sandbox.paths import ROOT
from tools import generated

MODULES = sorted(path.parent for path in ROOT.glob("modules/*/README.md"))
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}$', re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"description\s*= <<-EOT\n(.*?)\n\s*EOT\n", re.DOTALL)
LINE = re.compile(r'description\s*= "(.*)"\n')
# An attribute ends at the next attribute of the same indentation, or at a nested block.
ATTRIBUTE = r"^  {name}\s*= (.*?)(?=^  \w|^\n|\Z)"


@dataclass(frozen=True)
class Item:
    """A variable or an output."""

    name: str
    description: str
    type: str
    default: str | None


def read(source: str, kind: str) -> list[Item]:
    """Return the blocks of a kind ("variable" or "output") in HCL, in its order."""
    items = []
    for block_kind, name, body in BLOCK.findall(source):
        if block_kind != kind:
            continue
        heredoc, line = HEREDOC.search(body), LINE.search(body)
        if heredoc:
            description = textwrap.dedent(heredoc[1])
        elif line:
            description = line[1].replace('\\"', '"')
        else:
            raise SystemExit(f"{kind} {name!r} has no description")
        items.append(Item(name, description, _attribute(body, "type") or "", _attribute(body, "default")))
    return items


def _attribute(body: str, name: str) -> str | None:
    match = re.search(ATTRIBUTE.format(name=name), body, re.MULTILINE | re.DOTALL)
    return textwrap.dedent("  " + match[1]).strip() if match else None


def inputs(items: list[Item]) -> str:
    """Return the table of inputs, and a section with type and description for each object among them."""
    rows = ["| Input | Default | Description |", "|---|---|---|"]
    sections = []
    for item in items:
        summary, _, details = item.description.partition("\n")
        default = "**required**" if item.default is None else f"`{item.default}`"
        link = f"[`{item.name}`](#{item.name})" if details else f"`{item.name}`"
        rows.append(f"| {link} | {default} | {summary} |")
        if details:
            sections.append(f"### {item.name}\n\n{item.description}\n\n```hcl\n{item.type}\n```")
    return "\n".join(rows) + "\n\n" + "\n\n".join(sections)


def outputs(items: list[Item]) -> str:
    """Return the table of outputs."""
    return "\n".join(["| Output | Description |", "|---|---|", *(f"| `{i.name}` | {i.description} |" for i in items)])


def actions(path: Path) -> str:
    """Return the table of a deployer's actions: what needs each, whether plans do, and why the tested API does not."""
    rows = ["| Action | Plan role | Needed for | The tested API does not need it because |", "|---|---|---|---|"]
    groups = yaml.safe_load(path.read_text())
    for statement in (statement for statements in groups.values() for statement in statements):
        rows += [
            f"| `{name}` | {'yes' if action.get('plan') else ''} | {action['for']} | {action.get('without_test', '')} |"
            for name, action in statement["actions"].items()
        ]
    return "\n".join(rows)


def render(module: Path, readme: str) -> str:
    """Return the text of a module's README with its generated parts replaced."""
    parts = {
        "inputs": inputs(read((module / "variables.tf").read_text(), "variable")),
        "outputs": outputs(read((module / "outputs.tf").read_text(), "output")),
    }
    if (module / "actions.yaml").exists():
        parts["actions"] = actions(module / "actions.yaml")
    return generated.with_parts(readme, parts)


if __name__ == "__main__":
    codes = [
        generated.main(module / "README.md", partial(render, module), "Write the modules' tables, or check them.")
        for module in MODULES
    ]
    sys.exit(max(codes))
