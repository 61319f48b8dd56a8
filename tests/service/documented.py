"""A copy of the project with the resources that docs/service.md adds to it."""

import re
import shutil
from pathlib import Path

from sandbox.paths import EXAMPLE_SOURCES, ROOT, SANDBOXES

COPIED = {"docs", "harness", "pyproject.toml", "requirements", "sandbox", "tests", "tools", *EXAMPLE_SOURCES}
IGNORED = shutil.ignore_patterns("__pycache__", ".terraform", "terraform.tfstate*", "build.log")
BLOCK = re.compile(r"^`(service/\S+)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def project_copy(folder: Path) -> Path:
    """Copy the project into a folder, with its Python environments and sandboxes, and return the folder."""
    for source in (ROOT / name for name in sorted(COPIED)):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=IGNORED)
        else:
            shutil.copy(source, folder)
    link_environments(folder)
    # One folder for the sandboxes of all copies: `down` removes the base image only if none of them is running.
    SANDBOXES.mkdir(exist_ok=True)
    (folder / ".sandbox").symlink_to(SANDBOXES)
    return folder


def link_environments(folder: Path) -> None:
    """Give a copy of the project, of any date, the Python environments of this one.

    Only their contents are symlinks: `make` finds each environment ready, and cannot rebuild the one that runs the tests.
    """
    for environment in (ROOT / ".venvs").iterdir():
        copy = folder / ".venvs" / environment.name
        copy.mkdir(parents=True)
        for entry in environment.iterdir():
            if entry.name != ".ready":
                (copy / entry.name).symlink_to(entry)
        (copy / ".ready").touch()


def with_documented_resources(folder: Path) -> Path:
    """Copy the project into a folder, add the documented resources, and return the folder."""
    project_copy(folder)
    for path, text in BLOCK.findall((ROOT / "docs" / "service.md").read_text()):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    app = folder / "service" / "app.py"
    domains = '    "customers",\n'
    assert app.read_text().count(domains) == 1
    app.write_text(app.read_text().replace(domains, f'{domains}    "orders",\n    "tickets",\n'))
    return folder
