"""Folders and lists of folders that more than one module needs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Everything that sandboxes write, in a folder each.
SANDBOXES = ROOT / ".sandbox"
MODULE = "modules/lambda_container_api"
# One function per operation, as before a migration: the only example that does not call the module.
LEGACY = "examples/legacy-lambdas"
# What an example refers to: a copy of these can be planned and applied.
EXAMPLE_SOURCES = ("Dockerfile", "examples", "modules", "service", "versions.tf")


def environment(name: str) -> Path:
    """Return the `bin` folder of one of the project's Python environments, which `make` creates."""
    return ROOT / ".venvs" / name / "bin"


def examples(project: Path = ROOT) -> list[str]:
    """Return the names of the examples that call the module: the folders with a main.tf. LEGACY has none."""
    return sorted(main.parent.name for main in project.glob("examples/*/main.tf"))
