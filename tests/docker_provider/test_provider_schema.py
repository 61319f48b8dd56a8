import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import docker_provider, terraform
from tests.docker_provider.workspace import JSON, SOURCE, Workspace

KINDS = ("resource_schemas", "data_source_schemas")


@pytest.fixture(scope="module")
def real_schema() -> JSON:
    path = os.environ.get("DOCKER_PROVIDER_SCHEMA")
    if not path:
        pytest.skip(
            "DOCKER_PROVIDER_SCHEMA is unset: set it to a file with the real provider's "
            "`terraform providers schema -json`"
        )
    return dict(json.loads(Path(path).read_text())["provider_schemas"][docker_provider.SOURCE])


@pytest.fixture(scope="module")
def own_schema(make_workspace: Callable[[], Workspace]) -> JSON:
    workspace = make_workspace()
    workspace.configure(None)
    output = subprocess.run(
        [terraform.program(), "providers", "schema", "-json"],
        cwd=workspace.root,
        env=workspace.environment(),
        capture_output=True,
        check=True,
    )
    return without_descriptions(json.loads(output.stdout)["provider_schemas"][SOURCE])


def without_descriptions(schema: JSON) -> JSON:
    return {
        key: without_descriptions(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if key not in ("description", "description_kind")
    }


def test_provider_schema_equals_the_real_one(own_schema: JSON, real_schema: JSON) -> None:
    assert own_schema["provider"] == real_schema["provider"]


@pytest.mark.parametrize("kind", KINDS)
def test_docker_registry_image_schema_equals_the_real_one(own_schema: JSON, real_schema: JSON, kind: str) -> None:
    assert own_schema[kind]["docker_registry_image"] == real_schema[kind]["docker_registry_image"]


@pytest.mark.parametrize("kind", KINDS)
def test_schema_has_only_docker_registry_image(own_schema: JSON, kind: str) -> None:
    assert list(own_schema[kind]) == ["docker_registry_image"]
