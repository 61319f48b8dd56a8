"""modules/deployer, planned as a root module. Nothing is applied here: tests/e2e/test_deployer.py does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import Root
from sandbox.overrides import AWS_PROVIDER

MODULE = "modules/deployer"
GITHUB: dict[str, Any] = {"repository": "example/people-api", "apply": {"environments": ["production"]}}
REQUIRED: Mapping[str, Any] = {"apis": ["people-api"], "trust": {"github": GITHUB}}


@pytest.fixture(scope="session")
def module(terraform_roots: Callable[[str, Mapping[str, str] | None], Root]) -> Root:
    """The module as a root."""
    return terraform_roots(MODULE, {"providers.tf": AWS_PROVIDER})


@pytest.fixture(scope="session")
def interface(terraform_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The module's variables alone: all validations, and no provider to start."""
    root = Root(tmp_path_factory.mktemp("interface"))
    root.write("variables.tf", (terraform_project / MODULE / "variables.tf").read_text())
    return root
