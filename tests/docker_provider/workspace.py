"""Runs of the real Terraform with the stand-in, each in its own folder."""

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
# In the default registry of the Terraform or OpenTofu under test.
SOURCE = f"{terraform.find().product.registry}/kreuzwerker/docker"


@dataclass
class Finished:
    """The result of a Terraform run; `text` is its output with whitespace collapsed."""

    code: int
    text: str


@dataclass
class JsonResult:
    """The result of a run with `-json`: exit code, and planned actions and errors by address.

    Errors about the provider itself have the address "".
    """

    code: int
    actions: dict[str, str] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Workspace:
    """A Terraform root module with a Docker build context and its own home folder."""

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
        """Write a file, by its path relative to the root module."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def configure(
        self, registry_auth: JSON | list[JSON] | None, *, provider: JSON | None = None, **blocks: JSON
    ) -> None:
        """Write the configuration as JSON, and install the provider."""
        arguments = {"registry_auth": registry_auth, **(provider or {})}
        self.configure_providers([{key: value for key, value in arguments.items() if value is not None}], **blocks)

    def configure_providers(self, providers: list[JSON], **blocks: JSON) -> None:
        """Do the same with more than one provider configuration; Terraform starts a process for each."""
        required = {"docker": {"source": "kreuzwerker/docker", "version": ">= 4.3.0, < 5.0.0"}}
        configuration = {
            "terraform": {"required_providers": required},
            "provider": {"docker": providers},
            **blocks,
        }
        self.file("main.tf.json", json.dumps(configuration))
        if not (self.root / ".terraform").exists():
            assert self.terraform("init").code == 0

    def image(self, registry: str, **arguments: object) -> None:
        """Configure one `docker_registry_image.this` in an http registry without authentication."""
        self.configure(
            {"address": f"http://{registry}", "auth_disabled": True},
            resource={"docker_registry_image": {"this": arguments}},
        )

    def environment(self) -> dict[str, str]:
        """Return this process's environment without Terraform settings, and with another home."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
        return {
            **inherited,
            "HOME": str(self.root / "home"),
            "TF_CLI_CONFIG_FILE": str(self.root / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
            **self.variables,
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start Terraform in its own process group."""
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
        """Run Terraform and return its result."""
        process = self.start(*arguments)
        text, _ = process.communicate(timeout=5 * MINUTES)
        return Finished(process.returncode, " ".join(text.replace("│", " ").split()))

    def run_json(self, *arguments: str) -> JsonResult:
        """Run Terraform with `-json`, and return actions and errors by address."""
        process = self.start(*arguments, "-input=false", "-json")
        output, _ = process.communicate(timeout=5 * MINUTES)
        result = JsonResult(process.returncode)
        for event in map(json.loads, output.splitlines()):
            if event["type"] == "planned_change":
                result.actions[event["change"]["resource"]["addr"]] = event["change"]["action"]
            elif event["type"] == "diagnostic":
                error = event["diagnostic"]
                text = " ".join(f"{error['summary']} {error['detail']}".split())
                result.errors.setdefault(error.get("address", ""), []).append(text)
        return result

    def apply(self) -> Finished:
        return self.terraform("apply", "-auto-approve", "-input=false")

    def plan(self, *options: str) -> JSON:
        """Return the plan as JSON."""
        planned = self.terraform("plan", "-input=false", "-out=planned", *options)
        assert planned.code == 0, planned.text
        return self._json("show", "-json", "planned")

    def actions(self, *options: str) -> dict[str, list[str]]:
        """Return the planned actions of each resource that changes."""
        changes = self.plan(*options)["resource_changes"]
        return {
            change["address"]: change["change"]["actions"]
            for change in changes
            if change["change"]["actions"] != ["no-op"]
        }

    def state(self, address: str = "docker_registry_image.this") -> JSON:
        """Return the values of one resource in the state."""
        return self.states()[address]

    def states(self) -> dict[str, JSON]:
        """Return the values of every resource in the state by address."""
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
        """Return the name of an image in it."""
        return f"{self.registry}/{self.name}:{tag}"

    def request(self, method: str, reference: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Send a request for `manifests/<tag or digest>` or `blobs/<digest>`."""
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
        """Return the labels of a pushed image."""
        manifest = self.request("GET", f"manifests/{tag}").json()
        config = self.request("GET", f"blobs/{manifest['config']['digest']}").json()
        return dict(config["config"]["Labels"])


def remove_images(repository: str) -> None:
    """Remove all images of `registry/repository` from the engine, tagged or not."""
    result = subprocess.run(["docker", "image", "ls", "--quiet", repository], capture_output=True, text=True)
    for image in set(result.stdout.split()):
        subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)


class GuardedRegistry(BaseHTTPRequestHandler):
    """Has one image, `app:1`, accepts no push, and requires the login `me:secret`."""

    protocol_version = "HTTP/1.1"
    server: HTTPServer
    login = "Basic " + base64.b64encode(b"me:secret").decode()

    def do_HEAD(self) -> None:
        known = self.path == "/v2/app/manifests/1" and "manifest.v2+json" in self.headers["Accept"]
        self._respond(200 if known else 404)

    def do_GET(self) -> None:
        self._respond(200)

    def do_POST(self) -> None:
        self._respond(403, b'{"errors": [{"code": "DENIED", "message": "me may not push here"}]}')

    def _respond(self, status: int, body: bytes = b"") -> None:
        if self.headers.get("Authorization") == self.login:
            self._send(status, {"Docker-Content-Digest": DIGEST}, body)
        else:
            self._send(401, {"WWW-Authenticate": 'Basic realm="test"'}, b"")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
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
    """Has the same image, and requires a token, which `me` can get."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        allowed = address.path == "/token" and self.headers.get("Authorization") == GuardedRegistry.login
        query = parse_qs(address.query)
        if allowed and query == {"service": ["test"], "scope": ["repository:app:push,pull"]}:
            self._send(200, {}, b'{"token": "a-token"}')
        else:
            self._send(403, {}, b"")

    def _respond(self, status: int, body: bytes = b"") -> None:
        realm = f"http://localhost:{self.server.server_port}/token"
        if self.headers.get("Authorization") == "Bearer a-token":
            self._send(status, {"Docker-Content-Digest": DIGEST}, body)
        else:
            self._send(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="test"'}, b"")
