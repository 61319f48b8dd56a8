"""A stand-in for the kreuzwerker/docker Terraform provider, for use when the Terraform registry is unreachable.

It implements the schema of version 4.5.0 as far as this project uses it: the provider block, and
`docker_registry_image` as a resource and as a data source. It really builds with the Docker engine and pushes to
the registry. Plans accept what the real provider accepts. At apply, an unsupported argument is an error and never
ignored. `differences.yaml` lists the remaining differences.
"""

import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path

SOURCE = "registry.terraform.io/kreuzwerker/docker"
"""Address in Terraform's registry; OpenTofu's registry has another host."""
VERSION = "4.5.0"
"""The release whose schema the stand-in implements, and the version that Terraform sees."""

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def install(mirror: Path, source: str = SOURCE) -> None:
    """Install the stand-in as `source` in `mirror`, a folder for Terraform's `filesystem_mirror`.

    It runs with this interpreter and this copy of the project, from any working directory. Processes may install
    into the same mirror concurrently.
    """
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    folder = mirror / source / VERSION / f"{platform.system().lower()}_{machine}"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"terraform-provider-docker_v{VERSION}"
    # A shell script, because older kernels limit `#!` lines to 127 characters. With -I, neither the working
    # directory nor the caller's PYTHON* variables can shadow modules.
    main = Path(__file__).resolve().with_name("__main__.py")
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(main))} "$@"\n'
    if program.exists() and program.read_text(encoding="utf-8") == script:
        return
    descriptor, draft = tempfile.mkstemp(dir=mirror, prefix=".provider-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(script)
    Path(draft).chmod(0o755)
    Path(draft).replace(program)
