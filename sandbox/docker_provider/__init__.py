"""A stand-in for the kreuzwerker/docker Terraform provider, where the Terraform registry cannot be reached.

It speaks the schema of that provider's 4.5.0 for what this project uses: the provider block, and
`docker_registry_image` as a resource and as a data source. It builds with the Docker engine and pushes to the
registry for real. It accepts at plan what the real one accepts, and is as strict at apply: an argument that it
cannot honour is refused there, never ignored. `differences.yaml` lists what differs all the same.
"""

import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path

SOURCE = "registry.terraform.io/kreuzwerker/docker"
"""Its address in Terraform's registry; OpenTofu's has it under another host."""
VERSION = "4.5.0"
"""The release whose schema the stand-in speaks; Terraform sees it as this version."""

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def install(mirror: Path, source: str = SOURCE) -> None:
    """Lay the stand-in out as `source` in `mirror`, a folder for Terraform's `filesystem_mirror`.

    It runs with this interpreter and this copy of the project, from any working directory. Several processes
    may install into one mirror at once.
    """
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    folder = mirror / source / VERSION / f"{platform.system().lower()}_{machine}"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"terraform-provider-docker_v{VERSION}"
    # A shell in between, because a `#!` line takes 127 characters at most on older kernels. -I: neither the
    # working directory nor the caller's PYTHON* variables can put other modules in the way.
    main = Path(__file__).resolve().with_name("__main__.py")
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(main))} "$@"\n'
    if program.exists() and program.read_text(encoding="utf-8") == script:
        return
    descriptor, draft = tempfile.mkstemp(dir=mirror, prefix=".provider-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(script)
    Path(draft).chmod(0o755)
    Path(draft).replace(program)
