"""The AWS emulator, MiniStack: a background process on one port, with all of its state in one folder."""

from __future__ import annotations

import errno
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.emulator_server import bridge, faults
from sandbox.errors import SandboxError

REGION = "eu-central-1"
SERVER = ("-m", "sandbox.emulator_server")
START_SECONDS = 60
STOP_SECONDS = 20
# Label of the containers that it starts; the value is host name and port.
INSTANCE_LABEL = "ministack.instance"

# The environment variables that it inherits. MiniStack's settings and AWS credentials are not among them.
INHERITED = {"DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "HOME", "LANG", "PATH"}
INHERITED |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"}

# Single images only: an index has no layers.
MANIFEST = {
    "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
}
# Requests to this machine bypass proxies.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its port, and the folder with its log and pid file."""

    port: int
    home: Path

    @property
    def url(self) -> str:
        """Endpoint for AWS clients."""
        return f"http://localhost:{self.port}"

    @property
    def registry(self) -> str:
        """Host and port of the image registry."""
        return f"localhost:{self.port}"

    @property
    def instance(self) -> str:
        """Value of the label on its containers."""
        return f"{socket.gethostname()}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that point AWS clients, Terraform's provider included, at the emulator only."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service."""
        return client(service, self.url)

    def image_layers(self, image_uri: str) -> dict[str, int]:
        """Return the compressed size in bytes of each layer of an image by digest in its registry; KeyError for an index."""
        registry, _, rest = image_uri.partition("/")
        repository, _, digest = rest.partition("@")
        request = urllib.request.Request(f"http://{registry}/v2/{repository}/manifests/{digest}", headers=MANIFEST)
        with direct.open(request, timeout=30) as response:
            return {layer["digest"]: layer["size"] for layer in json.load(response)["layers"]}

    def handled_faults(self) -> Counter[str]:
        """Return how often each of its known faults was worked around since the start; zero counts are omitted."""
        log = (self.home / "emulator.log").read_text(errors="replace")
        return Counter({fault: log.count(fault) for fault in faults.LOGGED if fault in log})

    @contextmanager
    def refusing(
        self,
        operation: str,
        *,
        containing: str = "",
        times: int | None = 1,
        after: int = 0,
        status: int = 403,
        code: str = "AccessDeniedException",
        message: str = "refused by the test",
    ) -> Iterator[None]:
        """Within the context, return an AWS error for requests of an operation (`lambda.PublishVersion`, `lambda.*`).

        Only requests with `containing` in their path or body match, such as a function's name: other tests use the same
        emulator. The first `after` matches pass, then `times` fail, or all if None. SDKs retry 429, 500 and 503, the provider
        up to 25 times. Raises AssertionError at the end of the context if no request was refused.
        """
        refusal = {"operation": operation, "containing": containing, "times": times, "after": after}
        refusal |= {"status": status, "code": code, "message": message}
        number = self._gate("POST", "refusals", refusal)["id"]
        try:
            yield
        finally:
            result = self._gate("DELETE", f"refusals/{number}")
        if not result["refused"]:
            raise AssertionError(f"no {operation} request was refused, of {result['seen']} seen")

    def operations(self, client: str = "", containing: str = "", since: float = 0) -> list[str]:
        """Return the AWS operations that clients called (`lambda.PublishVersion`), in order, from `since` on.

        `client` filters by a text in the user agent: the provider's has `terraform-provider-aws/` and the value of
        TF_APPEND_USER_AGENT. `containing` filters by a text in path or body, such as a function's name.
        """
        query = urllib.parse.urlencode({"client": client, "containing": containing, "since": since})
        operations: list[str] = self._gate("GET", f"operations?{query}")
        return operations

    def requests(self, client: str = "", since: float = 0) -> list[dict[str, Any]]:
        """Return the requests that `operations` lists, each with `operation`, `input` (boto3's names, long values cut) and `client`."""
        query = urllib.parse.urlencode({"client": client, "since": since})
        requests: list[dict[str, Any]] = self._gate("GET", f"requests?{query}")
        return requests

    def gate_summary(self) -> str:
        """Return a line on what the strict gate has checked since the start."""
        calls = self.operations()
        operations = set(calls)
        services = {operation.partition(".")[0] for operation in operations}
        checked = f"{len(calls)} requests, {len(operations)} operations of {len(services)} services checked against their models"
        rules = self._gate("GET", "rules")
        refused = "".join(f", {times} refused by {rule}" for rule, times in sorted(rules["refused"].items()))
        return f"{checked} and {rules['rules']} rules{refused}"

    def notes(self, containing: str = "") -> list[dict[str, Any]]:
        """Return the notes, on requests that AWS accepts, that contain a text: `about` (the rule), `text`, `client`, `at`."""
        notes: list[dict[str, Any]] = self._gate("GET", "notes")
        return [note for note in notes if containing in note["text"]]

    def violations(self) -> list[dict[str, Any]]:
        """Return the requests that violate AWS's models: `about` (the operation), `text`, `client`, `at`."""
        violations: list[dict[str, Any]] = self._gate("GET", "violations")
        return violations

    def take_violations(self, containing: str) -> list[dict[str, Any]]:
        """Return and clear the violations that contain a text, for a test that expects them."""
        query = urllib.parse.urlencode({"containing": containing})
        violations: list[dict[str, Any]] = self._gate("DELETE", f"violations?{query}")
        return violations

    def _gate(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_gate/{path}", data, method=method)  # noqa: S310 - our own
        with direct.open(request, timeout=10) as response:
            return json.load(response)

    def get(self, path: str, host: str | None = None, seconds: float = 2) -> tuple[int, str]:
        """Send GET for a path, with a Host header if given, and return status and body.

        Raises OSError when there is no response.
        """
        # Python's resolver does not resolve *.localhost, so such a name goes into the header.
        request = urllib.request.Request(f"{self.url}{path}", headers={"Host": host} if host else {})  # noqa: S310 - our own
        try:
            with direct.open(request, timeout=seconds) as response:
                return response.status, response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{self.url} does not speak HTTP: {error!r}") from error


def client(service: str, url: str) -> Any:
    """Return a boto3 client of a service of the emulator at a URL."""
    import boto3  # takes 0.5 s, which most commands do not need

    return boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def neutral_environment() -> dict[str, str]:
    """Return this process's environment without AWS credentials and without settings of other Terraform projects."""
    foreign = ("AWS_", "TF_VAR_", "TF_CLI_ARGS", "TF_CLOUD_", "TF_DATA_DIR", "TF_ENCRYPTION", "TF_WORKSPACE")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}


def engine_of_the_client() -> dict[str, str]:
    """Return DOCKER_HOST for the Docker client's current context, for programs that read only that variable.

    The emulator and Terraform's Docker provider do. Empty when they find the engine by themselves.
    """
    if "DOCKER_HOST" in os.environ or shutil.which("docker") is None:
        return {}
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    host = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"DOCKER_HOST": host} if host not in {"", "unix:///var/run/docker.sock"} else {}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free_port(port: int, server: str, alternative: str, *addresses: str) -> None:
    """Raise SandboxError when a port is in use on loopback, IPv4 or IPv6, or on one of `addresses`."""
    loopback = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    for family, address in [*loopback, *((socket.AF_INET, address) for address in addresses)]:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except PermissionError as error:
            raise SandboxError(f"only root may listen on port {port}. Choose another: {alternative}") from error
        except OSError as error:
            # Not every machine has IPv6.
            if error.errno == errno.EADDRINUSE or family == socket.AF_INET:
                raise SandboxError(
                    f"port {port} is in use, and the {server} needs it. "
                    f"Stop the program that uses it, or choose another port: {alternative}"
                ) from error


def start(home: Path, port: int, server: Sequence[str] = SERVER, *, enforce_iam: bool = False) -> Emulator:
    """Start the emulator, or return the one that already runs from this folder. `server` are Python's arguments.

    With `enforce_iam` it evaluates IAM policies for credentials that its STS issued; its own key `test` may do everything.

    Raises SandboxError when the port is in use, when the emulator is not installed, or when it does not respond within
    START_SECONDS.
    """
    emulator = Emulator(port, home)
    if running(home) == port and _responds(emulator):
        return emulator
    stop(home)
    bridged = [str(found.interface.ip)] if (found := bridge.find()) else []
    require_free_port(port, "emulator", f"PORT={free_port()}", *bridged)
    python = paths.environment("emulator") / "python"
    if not python.with_name("ministack").exists():
        raise SandboxError("the emulator is not installed: run `make .venvs/emulator/.ready` first.")
    temporary = _temporary(home)
    temporary.mkdir(parents=True, exist_ok=True)
    environment = engine_of_the_client() | {k: v for k, v in os.environ.items() if k.upper() in INHERITED}
    environment |= {
        "GATEWAY_PORT": str(port),
        # Unused here, and it would listen for these on all addresses.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        # The default of 10 s for a Docker call is too short when containers start in parallel on two cores.
        "MINISTACK_DOCKER_TIMEOUT": "60",
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AUTH": str(enforce_iam).lower(),
        # Everything that it writes; the defaults are folders that all emulators on the machine would share.
        "S3_DATA_DIR": str(temporary / "s3"),
        "STATE_DIR": str(temporary / "state"),
        "TMPDIR": str(temporary),
    }
    with (home / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            [python, "-B", *server],
            cwd=paths.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    (home / "emulator.pid").write_text(f"{process.pid} {port}\n")
    deadline = time.monotonic() + START_SECONDS
    while not _responds(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join((home / "emulator.log").read_text(errors="replace").splitlines()[-15:])
            stop(home)
            raise SandboxError(f"the emulator did not respond on port {port}. End of its log:\n{tail}")
        time.sleep(0.1)
    process.returncode = 0  # it outlives this process; otherwise Python warns that it is still running
    return emulator


def stop(home: Path) -> bool:
    """Stop the emulator of this folder, and return whether there was one. A stale pid is never killed."""
    port = running(home)
    if port is not None:
        pid = int((home / "emulator.pid").read_text().split()[0])
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running(home) is not None:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            time.sleep(0.05)
    (home / "emulator.pid").unlink(missing_ok=True)
    shutil.rmtree(home / "tmp", ignore_errors=True)
    return port is not None


def any_running() -> bool:
    """Return whether a sandbox's emulator is running on this machine, even another clone's."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if b"\0MINISTACK_REGION=" in b"\0" + environment.read_bytes():
                return True
    return False


def running(home: Path) -> int | None:
    """Return the port of this folder's emulator, or None when it is not running."""
    try:
        pid, port = (int(word) for word in (home / "emulator.pid").read_text().split())
        # Reap it if it is our child, so that no zombie remains.
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        # The pid may be reused, such as after a reboot, even by another sandbox's emulator.
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return port if f"TMPDIR={_temporary(home)}".encode() in environment else None


def _responds(emulator: Emulator) -> bool:
    with suppress(OSError):
        return emulator.get("/_ministack/health")[0] == 200
    return False


def _temporary(home: Path) -> Path:
    return home.resolve() / "tmp"
