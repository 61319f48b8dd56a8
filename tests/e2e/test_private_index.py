"""examples/private-index, applied: a build with a secret, from a package index that requires a password."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import secrets
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness import Root
from harness.errors import TerraformError
from sandbox import emulator as emulators
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.emulator_server import bridge
from sandbox.engine import Engine, docker
from tests.e2e.conftest import Deployable, gateway

USER = "ci"
WHEEL = "acme_greetings-1.0.0-py3-none-any.whl"
METADATA = "acme_greetings-1.0.0.dist-info"


@dataclass(frozen=True)
class Index:
    """A running package index."""

    address: str
    password: str

    @property
    def pip_conf(self) -> str:
        host = self.address.partition(":")[0]
        return f"[global]\nindex-url = http://{USER}:{self.password}@{self.address}/simple/\ntrusted-host = {host}\n"


def build_wheel(folder: Path) -> None:
    """Write the wheel of the private package."""
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("acme_greetings.py", 'def greet(name: str) -> str:\n    return f"private hello, {name}"\n')
        wheel.writestr(f"{METADATA}/METADATA", "Metadata-Version: 2.1\nName: acme-greetings\nVersion: 1.0.0\n")
        wheel.writestr(f"{METADATA}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{METADATA}/RECORD", "")


@pytest.fixture(scope="module")
def index(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """pypiserver with one package, at the address where builds reach this machine."""
    bridged = bridge.find()
    if bridged is None:
        pytest.skip("containers reach no address of this machine: there is no Docker bridge")
    folder, password = tmp_path_factory.mktemp("index"), secrets.token_hex(16)
    build_wheel(folder)
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    (folder / "htpasswd").write_text(f"{USER}:{{SHA}}{digest}\n")
    host, port = str(bridged.interface.ip), emulators.free_port()
    command = [sys.executable, "-W", "ignore", "-m", "pypiserver", "run", "--interface", host, "--port", str(port)]
    command += ["--passwords", str(folder / "htpasswd"), "--authenticate", "update,download,list", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(f"http://{host}:{port}/simple/", server)
            yield Index(f"{host}:{port}", password)
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the index requires its password."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx2.get(url, trust_env=False).status_code == 401:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the package index at {url} does not require its password")


@pytest.fixture(scope="module")
def root(example: Deployable, base_image: BaseImage, index: Index) -> Root:
    root = example("private-index")
    (root.path / "pip.conf").write_text(index.pip_conf)
    invalidate_cache(root)
    override = root.path / "image_override.tf"
    # As the example, with the log of the build.
    override.write_text(
        'module "api" {\n  image = {\n    build = {\n      context = "app"\n      args = { BASE_IMAGE = var.base_image }\n'
        '      secrets = { pip_conf = var.from_environment ? { env = "PIP_CONF" } : { file = pathexpand(var.pip_config_file) } }\n'
        '      labels = { "org.opencontainers.image.revision" = var.revision }\n      log_file = "build.log"\n    }\n  }\n}\n'
    )
    root.write("from_environment.tf", 'variable "from_environment" {\n  default = false\n}\n')
    root.apply(inputs(base_image))
    return root


def invalidate_cache(root: Root) -> None:
    """Change the requirements, so that the packages are installed and do not come from the engine's cache."""
    requirements = root.path / "app" / "requirements.txt"
    requirements.write_text(f"# {secrets.token_hex(8)}\n{requirements.read_text()}")


def inputs(base_image: BaseImage, **others: Any) -> dict[str, Any]:
    return {"base_image": base_image.reference, "pip_config_file": "pip.conf", "revision": "1a2b3c4"} | others


def labels(root: Root) -> dict[str, str]:
    image = root.output("image_uri", str)
    found: dict[str, str] = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    return found


def image_files(image: str) -> Iterator[bytes]:
    """Yield the content of each file of an image: its configuration, and each layer's files."""
    saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        for name, content in regular_files(archive):
            yield content
            if name.endswith("layer.tar") or "blobs/" in name:
                yield from layer_files(content)


def layer_files(data: bytes) -> Iterator[bytes]:
    with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(data)) as layer:  # or a blob that is not a layer
        yield from (content for _, content in regular_files(layer))


def regular_files(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        if member.isreg() and (content := archive.extractfile(member)):
            yield member.name, content.read()


def test_private_package_serves(root: Root, emulator: Emulator) -> None:
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "private hello, world"}


def test_secret_is_in_no_state_plan_log_or_layer(root: Root, index: Index) -> None:
    written = {
        path.name: path.read_bytes() for path in root.path.iterdir() if path.is_file() and path.name != "pip.conf"
    }
    assert {"build.log", "terraform.tfstate"} <= written.keys()
    assert "acme-greetings" in written["build.log"].decode(), "the log does not show the installation"
    assert [name for name, content in written.items() if index.password.encode() in content] == []

    files = list(image_files(root.output("image_uri", str)))
    assert any(b"private hello" in content for content in files), "the layers do not contain the package"
    assert [content[:80] for content in files if index.password.encode() in content] == []


def test_image_has_the_labels_of_its_build(root: Root) -> None:
    assert (
        labels(root).items()
        >= {
            "lambda-container-api.source-hash": root.output("source_hash", str),
            "org.opencontainers.image.revision": "1a2b3c4",
        }.items()
    )


def test_another_secret_value_or_label_builds_nothing(root: Root, base_image: BaseImage, index: Index) -> None:
    (root.path / "pip.conf").write_text("[global]\nindex-url = http://nobody:nothing@localhost/simple/\n")
    plan = root.plan(inputs(base_image, revision="5d6e7f8"))
    (root.path / "pip.conf").write_text(index.pip_conf)

    assert plan.described() == []


def test_build_without_its_secret_fails_and_the_old_version_serves(
    root: Root, base_image: BaseImage, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(root.terraform.environment, "PIP_CONF", raising=False)
    invalidate_cache(root)
    with pytest.raises(TerraformError, match="Error running buildx build"):
        root.apply(inputs(base_image, from_environment=True))

    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "private hello, world"}


def test_secret_from_an_environment_variable(
    root: Root,
    base_image: BaseImage,
    index: Index,
    emulator: Emulator,
    aws: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(root.terraform.environment, "PIP_CONF", index.pip_conf)
    main = root.path / "app" / "main.py"
    main.write_text(main.read_text().replace('greet("world")', 'greet("environment")'))
    root.apply(inputs(base_image, from_environment=True, revision="5d6e7f8"))

    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "private hello, environment"}
    assert index.password not in (root.path / "terraform.tfstate").read_text()
    assert index.password not in (root.path / "build.log").read_text()
    assert labels(root)["org.opencontainers.image.revision"] == "5d6e7f8"
