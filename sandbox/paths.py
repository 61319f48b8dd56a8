"""Where things are: each folder that several modules need, and each list of folders, once."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# All that sandboxes write; a folder for each.
SANDBOXES = ROOT / ".sandbox"
MODULE = "modules/lambda_container_api"
# What an example refers to: a copy of these plans and applies as the project does.
EXAMPLE_SOURCES = ("Dockerfile", "examples", "modules", "service", "versions.tf")


def environment(name: str) -> Path:
    """Return the folder of the programs in one of the project's Python environments, which `make` creates."""
    return ROOT / ".venvs" / name / "bin"


def examples(project: Path = ROOT) -> list[str]:
    """Return the names of the examples: the folders that are root modules."""
    return sorted(main.parent.name for main in project.glob("examples/*/main.tf"))
