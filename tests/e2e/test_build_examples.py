"""examples/uv and examples/large-dependencies, applied: other ways to build an image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import Root
from harness.errors import TerraformError
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import docker
from tests.e2e.conftest import Deployable, gateway

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def uv(example: Deployable, base_image: BaseImage) -> Root:
    root = example("uv")
    root.apply(base_image=base_image.reference)
    return root


@pytest.fixture(scope="module")
def large(example: Deployable, base_image: BaseImage) -> Root:
    root = example("large-dependencies")
    root.apply(base_image=base_image.reference)
    return root


def inspect(image: str, field: str) -> str:
    return docker("image", "inspect", "--format", f"{{{{{field}}}}}", image).strip()


def in_container(root: Root, code: str) -> Any:
    """Run Python code in the image, and return the value that it assigns to `result`."""
    program = f"import json, pathlib, shutil\n{code}\nprint(json.dumps(result))"
    return json.loads(docker("run", "--rm", "--entrypoint", "python", root.output("image_uri", str), "-c", program))


def test_image_built_by_uv_serves(uv: Root, emulator: Emulator) -> None:
    with gateway(emulator, uv.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "hello"}
        assert "/" in api.get("/openapi.json").json()["paths"]


def test_image_built_by_uv_has_bytecode_and_no_uv(uv: Root) -> None:
    assert inspect(uv.output("image_uri", str), ".Config.User") == "1000"
    assert in_container(uv, "result = [bool(shutil.which(name)) for name in ('python', 'uv')]") == [True, False]
    count = "result = [len(list(pathlib.Path('fastapi').rglob(f'*.{suffix}'))) for suffix in ('py', 'pyc')]"
    sources, compiled = in_container(uv, count)
    assert sources == compiled > 20


def test_stale_lock_file_fails_the_build_and_the_old_version_serves(
    uv: Root, emulator: Emulator, base_image: BaseImage
) -> None:
    project = uv.path / "app/pyproject.toml"
    original = project.read_text()
    project.write_text(original.replace('"mangum', '"httpx>=0.28", "mangum'))
    with pytest.raises(TerraformError, match="uv export --quiet --locked"):
        uv.apply(base_image=base_image.reference)
    project.write_text(original)

    with gateway(emulator, uv.output("endpoint", str)) as api:
        assert api.get("/").status_code == 200


def test_dependencies_above_the_limit_of_a_zip_archive_serve(
    large: Root, emulator: Emulator, base_image: BaseImage
) -> None:
    image = large.output("image_uri", str)
    assert int(inspect(image, ".Size")) - int(inspect(base_image.reference, ".Size")) > 250 * MEGABYTE

    with gateway(emulator, large.output("endpoint", str)) as api:
        trend = api.get("/trend", params={"values": [1, 2, 3, 4]}).raise_for_status().json()
        assert trend == pytest.approx({"slope": 1, "next": 5, "median": 2.5})
        arrow = api.get("/table", params={"values": [1, 2, 3]}).raise_for_status()
        assert arrow.headers["content-type"] == "application/vnd.apache.arrow.stream"
        assert arrow.content.startswith(b"\xff\xff\xff\xff")  # Arrow's mark of a message
