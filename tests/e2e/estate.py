"""examples/legacy-lambdas on the emulator: applied, seeded, and with clients for its API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from harness import Root
from sandbox import overrides, paths
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer


@dataclass(frozen=True)
class Estate:
    """The applied estate."""

    root: Root
    prefix: str
    emulator: Emulator
    issuer: Issuer

    @property
    def api_id(self) -> str:
        """ID of its REST API."""
        return self.root.output("api_id", str)

    @property
    def url(self) -> str:
        """URL of its stage. Python cannot resolve it; the comparison knows that names below localhost are this machine."""
        return f"http://{self.api_id}.execute-api.localhost:{self.emulator.port}/prod"

    def client(self, token: str | None = None) -> httpx2.Client:
        """Return a client whose paths are below the stage `prod`, with a token of all scopes unless one is given; "" for none."""
        bearer = self.issuer.token() if token is None else token
        headers = {"host": f"{self.api_id}.execute-api.localhost"}
        headers |= {"authorization": f"Bearer {bearer}"} if bearer else {}
        return httpx2.Client(base_url=f"{self.emulator.url}/prod", headers=headers, timeout=60, trust_env=False)

    def seed(self, users: int = 5000, customers: int = 5000) -> None:
        """Run seed.py."""
        command = [sys.executable, "seed.py", self.prefix, "--users", str(users), "--customers", str(customers)]
        environment = self.emulator.environment()
        subprocess.run(command, cwd=self.root.path, env=environment, check=True, capture_output=True)


@contextmanager
def applied(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root], emulator: Emulator, issuer: Issuer, prefix: str
) -> Iterator[Estate]:
    """Apply the estate with a prefix that no other test uses, and destroy it in the end."""
    root = terraform_roots(paths.LEGACY, {overrides.NAME: overrides.LEGACY})
    variables: dict[str, Any] = {"prefix": prefix, "issuer": issuer.url, "keys_url": issuer.keys_url}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(paths.environment("dev")), prepend=os.pathsep)  # package.py is faster with uv
            root.apply(variables)
        yield Estate(root, prefix, emulator, issuer)
    finally:
        root.destroy()
