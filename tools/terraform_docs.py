"""Write terraform-docs' tables into the READMEs of modules and examples, or check them.

    python -m tools.terraform_docs [--check]

The output equals that of `terraform-docs <folder>`, which then need not be installed: tests/docs/test_terraform_docs.py compares the two
where it is. The sections are those of the nearest `.terraform-docs.yml`. With --check, exit code 1 means a stale README.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import hcl2
import yaml

from sandbox.paths import ROOT
from tools import generated, module_docs

CONFIG = ".terraform-docs.yml"
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"
REGISTRY = "https://registry.terraform.io/providers"
BLOCK = re.compile(r'^(resource|data) "(\w+)" "(\w+)" \{\n(.*?)^\}$', re.MULTILINE | re.DOTALL)
ALIAS = re.compile(r"^  provider\s*= \w+\.(\w+)$", re.MULTILINE)
CORE = re.compile(r'^  required_version = "(.*)"$', re.MULTILINE)
PROVIDER = re.compile(r'^    (\w+) = \{\n\s*source\s*= "(.*)"\n\s*version\s*= "(.*)"\n', re.MULTILINE)


def readmes(root: Path = ROOT) -> list[Path]:
    """Return the READMEs of modules and examples that have the markers."""
    found = [path for kind in ("modules", "examples") for path in sorted((root / kind).rglob("README.md"))]
    return [path for path in found if ".terraform" not in path.parts and BEGIN in path.read_text()]


def sections(folder: Path) -> list[str]:
    """Return the sections that the folder's configuration shows: its own, or else the project's."""
    own = folder / CONFIG
    config: dict[str, Any] = yaml.safe_load((own if own.exists() else ROOT / CONFIG).read_text())
    return list(config["sections"]["show"])


def render(folder: Path) -> str:
    """Return the generated text for a folder, without the markers."""
    parts = {
        "requirements": _requirements,
        "providers": _providers,
        "resources": _resources,
        "inputs": _inputs,
        "outputs": _outputs,
    }
    shown = sections(folder)
    if unknown := set(shown) - parts.keys():
        raise SystemExit(f"{CONFIG}: no section {', '.join(sorted(unknown))}: this command writes {', '.join(parts)}")
    source = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    # An empty section leaves its blank lines, if it is the first.
    text = "\n\n".join(part(source) for name, part in parts.items() if name in shown)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip()


def _table(title: str, columns: str, separators: str, rows: Iterable[str]) -> str:
    """Return a section, or nothing without rows (`hide-empty`)."""
    lines = [f"| {row} |" for row in rows]
    return "\n".join([f"## {title}", "", f"| {columns} |", f"| {separators} |", *lines]) if lines else ""


def _constraints(source: str) -> dict[str, tuple[str, str]]:
    """Return each required provider's source and version constraint."""
    return {name: (origin, version) for name, origin, version in PROVIDER.findall(source)}


def _requirements(source: str) -> str:
    rows = [f"terraform | {version}" for version in CORE.findall(source)]
    rows += [f"{name} | {version}" for name, (_, version) in sorted(_constraints(source).items())]
    return _table("Requirements", "Name | Version", "---- | -------", rows)


def _providers(source: str) -> str:
    known = _constraints(source)
    used = {(kind.partition("_")[0], *ALIAS.findall(body)) for _, kind, _, body in BLOCK.findall(source)}
    rows = [f"{'.'.join(used_as)} | {known.get(used_as[0], ('', 'n/a'))[1]}" for used_as in sorted(used)]
    return _table("Providers", "Name | Version", "---- | -------", rows)


def _resources(source: str) -> str:
    known = _constraints(source)
    rows = []
    for address in sorted(f"{kind}.{name}" for mode, kind, name, _ in BLOCK.findall(source) if mode == "resource"):
        provider, _, page = address.partition(".")[0].partition("_")
        origin = known[provider][0] if provider in known else f"hashicorp/{provider}"
        rows.append(f"[{address}]({REGISTRY}/{origin}/latest/docs/resources/{page}) | resource")
    return _table("Resources", "Name | Type", "---- | ----", rows)


def _inputs(source: str) -> str:
    rows = []
    for item in sorted(module_docs.read(source, "variable"), key=lambda item: item.name):
        # terraform-docs shows a type as it is in the source, inside its block.
        kind = textwrap.indent(item.type, "  ").strip()
        default, required = ("n/a", "yes") if item.default is None else (_code(_json(item.default)), "no")
        rows.append(f"{item.name} | {_text(item.description)} | {_code(kind)} | {default} | {required}")
    columns, separators = (
        "Name | Description | Type | Default | Required",
        "---- | ----------- | ---- | ------- | :------:",
    )
    return _table("Inputs", columns, separators, rows)


def _outputs(source: str) -> str:
    items = sorted(module_docs.read(source, "output"), key=lambda item: item.name)
    rows = [f"{item.name} | {_text(item.description)}" for item in items]
    return _table("Outputs", "Name | Description", "---- | -----------", rows)


def _json(expression: str) -> str:
    plain = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    return json.dumps(
        hcl2.loads(f"value = {expression}\n", serialization_options=plain)["value"], indent=2, ensure_ascii=False
    )


def _code(text: str) -> str:
    if "\n" not in text:
        return f"`{text}`"
    return f"<pre>{_breaks(text)}</pre>"


def _breaks(text: str) -> str:
    return text.replace("\n", "<br/>")


def _text(description: str) -> str:
    """Return a description for a table's cell: line breaks as HTML, and bars escaped outside of code."""
    segments = description.strip().split("`")
    segments[::2] = [segment.replace("|", "\\|") for segment in segments[::2]]
    return _breaks("`".join(segments))


def main() -> int:
    """Write the tables, or with `--check` compare them; return the exit code."""
    pages = {readme: partial(_page, readme.parent) for readme in readmes()}
    return generated.main_for(pages, "Write terraform-docs' tables, or check them.")


def _page(folder: Path, text: str) -> str:
    return generated.between(text, BEGIN, END, render(folder))


if __name__ == "__main__":
    sys.exit(main())
