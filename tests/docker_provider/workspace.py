"""Real Terraform runs against the stand-in, each in a folder of its own."""

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from sandbox import terraform

JSON = dict[str, Any]
MINUTES = 60
DIGEST = "sha256:" + "0" * 64
# In the registry of the Terraform, or the OpenTofu, that these tests run.
SOURCE = f"{terraform.find().product.registry}/kreuzwerker/docker"


@dataclass
class Finished:
    """How a Terraform run ended; `text` is all it printed, with its line breaks within sentences undone."""

    code: int
    text: str


@dataclass
class Told:
    """How a run with `-json` ended: its exit code, and by address what was planned for it and the errors about it.

    What Terraform says of a provider that misbehaves is under no address: "".
    """

    code: int
    actions: dict[str, str] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Workspace:
    """A Terraform root module with a Docker build context beside it, and a home folder of its own."""

    root: Path
    mirror: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "context").mkdir(parents=True)
        (self.root / "home").mkdir()
        (self.root / "terraform.rc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{self.mirror}"\n  }}\n}}\n'
        )

    def file(self, name: str, content: str) -> None:
        """Write a file, named from the root module's folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def configure(
        self, registry_auth: JSON | list[JSON] | None, *, provider: JSON | None = None, **blocks: JSON
    ) -> None:
        """Write the configuration, as Terraform's JSON, and install the provider."""
        arguments = {"registry_auth": registry_auth, **(provider or {})}
        self.configure_providers([{key: value for key, value in arguments.items() if value is not None}], **blocks)

    def configure_providers(self, providers: list[JSON], **blocks: JSON) -> None:
        """Do the same with several configurations of the provider, each of which Terraform starts by itself."""
        needed = {"docker": {"source": "kreuzwerker/docker", "version": ">= 4.3.0, < 5.0.0"}}
        configuration = {
            "terraform": {"required_providers": needed},
            "provider": {"docker": providers},
            **blocks,
        }
        self.file("main.tf.json", json.dumps(configuration))
        if not (self.root / ".terraform").exists():
            assert self.terraform("init").code == 0

    def image(self, registry: str, **arguments: object) -> None:
        """Configure one `docker_registry_image.this` in a registry that takes anyone over http."""
        self.configure(
            {"address": f"http://{registry}", "auth_disabled": True},
            resource={"docker_registry_image": {"this": arguments}},
        )

    def environment(self) -> dict[str, str]:
        """Keep the caller's engine, drop the caller's Terraform settings, and have a home of its own."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
        return {
            **inherited,
            "HOME": str(self.root / "home"),
            "TF_CLI_CONFIG_FILE": str(self.root / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
            **self.variables,
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start Terraform in a process group of its own."""
        return subprocess.Popen(
            [terraform.program(), *arguments, "-no-color"],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def terraform(self, *arguments: str) -> Finished:
        """Run Terraform to its end."""
        process = self.start(*arguments)
        text, _ = process.communicate(timeout=5 * MINUTES)
        return Finished(process.returncode, " ".join(text.replace("│", " ").split()))

    def told(self, *arguments: str) -> Told:
        """Run Terraform to its end, and tell what it planned and refused apart by address."""
        process = self.start(*arguments, "-input=false", "-json")
        output, _ = process.communicate(timeout=5 * MINUTES)
        told = Told(process.returncode)
        for event in map(json.loads, output.splitlines()):
            if event["type"] == "planned_change":
                told.actions[event["change"]["resource"]["addr"]] = event["change"]["action"]
            elif event["type"] == "diagnostic":
                error = event["diagnostic"]
                text = " ".join(f"{error['summary']} {error['detail']}".split())
                told.errors.setdefault(error.get("address", ""), []).append(text)
        return told

    def apply(self) -> Finished:
        """Apply without asking."""
        return self.terraform("apply", "-auto-approve", "-input=false")

    def plan(self, *options: str) -> JSON:
        """Return the plan of a change, as Terraform's JSON."""
        planned = self.terraform("plan", "-input=false", "-out=planned", *options)
        assert planned.code == 0, planned.text
        return self._json("show", "-json", "planned")

    def actions(self, *options: str) -> dict[str, list[str]]:
        """Return what a plan would do to each resource that it would touch."""
        changes = self.plan(*options)["resource_changes"]
        return {
            change["address"]: change["change"]["actions"]
            for change in changes
            if change["change"]["actions"] != ["no-op"]
        }

    def state(self, address: str = "docker_registry_image.this") -> JSON:
        """Return the values of one object in the state."""
        return self.states()[address]

    def states(self) -> dict[str, JSON]:
        """Return the values of every object in the state by its address."""
        module = self._json("show", "-json")["values"]["root_module"]
        return {item["address"]: item["values"] for item in module["resources"]}

    def _json(self, *arguments: str) -> JSON:
        output = subprocess.run(
            ["terraform", *arguments],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            check=True,
        )
        return dict(json.loads(output.stdout))


@dataclass(frozen=True)
class Repository:
    """A repository in the emulator's registry."""

    registry: str
    name: str

    def tag(self, tag: str) -> str:
        """Name an image in it."""
        return f"{self.registry}/{self.name}:{tag}"

    def request(self, method: str, reference: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Ask the registry about `manifests/<tag or digest>` or `blobs/<digest>`."""
        accept = {
            "Accept": ", ".join(
                [
                    "application/vnd.docker.distribution.manifest.v2+json",
                    "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.oci.image.index.v1+json",
                ]
            )
        }
        url = f"http://{self.registry}/v2/{self.name}/{reference}"
        return httpx2.request(method, url, headers={**accept, **(headers or {})}, trust_env=False)

    def labels(self, tag: str) -> dict[str, str]:
        """Return the labels of the image that was pushed."""
        manifest = self.request("GET", f"manifests/{tag}").json()
        config = self.request("GET", f"blobs/{manifest['config']['digest']}").json()
        return dict(config["config"]["Labels"])


def remove_images(repository: str) -> None:
    """Remove what a test built from the engine: all of `registry/repository`, tagged or not."""
    listed = subprocess.run(["docker", "image", "ls", "--quiet", repository], capture_output=True, text=True)
    for image in set(listed.stdout.split()):
        subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)


class GuardedRegistry(BaseHTTPRequestHandler):
    """Knows the one image `app:1`, takes no push, and tells only `me`, whose password is `secret`."""

    protocol_version = "HTTP/1.1"
    server: HTTPServer
    login = "Basic " + base64.b64encode(b"me:secret").decode()

    def do_HEAD(self) -> None:
        known = self.path == "/v2/app/manifests/1" and "manifest.v2+json" in self.headers["Accept"]
        self._answer(200 if known else 404)

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self._answer(403, b'{"errors": [{"code": "DENIED", "message": "me may not push here"}]}')

    def _answer(self, status: int, body: bytes = b"") -> None:
        if self.headers.get("Authorization") == self.login:
            self._reply(status, {"Docker-Content-Digest": DIGEST}, body)
        else:
            self._reply(401, {"WWW-Authenticate": 'Basic realm="test"'}, b"")

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class TokenRegistry(GuardedRegistry):
    """Knows the same image, and shows it only to the holder of a token, which `me` can get."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        allowed = address.path == "/token" and self.headers.get("Authorization") == GuardedRegistry.login
        asked = parse_qs(address.query)
        if allowed and asked == {"service": ["test"], "scope": ["repository:app:push,pull"]}:
            self._reply(200, {}, b'{"token": "a-token"}')
        else:
            self._reply(403, {}, b"")

    def _answer(self, status: int, body: bytes = b"") -> None:
        realm = f"http://localhost:{self.server.server_port}/token"
        if self.headers.get("Authorization") == "Bearer a-token":
            self._reply(status, {"Docker-Content-Digest": DIGEST}, body)
        else:
            self._reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="test"'}, b"")
