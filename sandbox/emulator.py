"""AWS on one port of this machine: MiniStack, as a background process with all of its state in one folder."""

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
# Every container that it starts carries this label: its host's name and its port.
INSTANCE_LABEL = "ministack.instance"

# What of this process's environment it gets; its own settings, and a person's AWS account, are kept from it.
INHERITED = {"DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "HOME", "LANG", "PATH"}
INHERITED |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"}

# This machine's own addresses are never asked through a proxy.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Emulator:
    """An emulator that answers: its port, and the folder with its log and pid."""

    port: int
    home: Path

    @property
    def url(self) -> str:
        """Its endpoint, for AWS clients."""
        return f"http://localhost:{self.port}"

    @property
    def registry(self) -> str:
        """Host and port of its image registry."""
        return f"localhost:{self.port}"

    @property
    def instance(self) -> str:
        """The value of the label on its containers."""
        return f"{socket.gethostname()}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that point any AWS client, Terraform's provider included, at it and at nothing else."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of one of its services."""
        return client(service, self.url)

    def handled_faults(self) -> Counter[str]:
        """Return how often each of its faults was handled since it started, those that never occurred left out."""
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
        """Answer requests of an operation (`lambda.PublishVersion`, `lambda.*`) with an error of AWS's, within the context.

        Those are meant that have a text in their path or body, a function's name for one: other tests use the same emulator.
        `after` such requests pass first, then `times` are refused, all of them where it is None. SDKs repeat what was answered
        with 429, 500 or 503, the provider up to 25 times. Raises AssertionError when the context ends and none was refused.
        """
        asked = {"operation": operation, "containing": containing, "times": times, "after": after}
        asked |= {"status": status, "code": code, "message": message}
        number = self._gate("POST", "refusals", asked)["id"]
        try:
            yield
        finally:
            told = self._gate("DELETE", f"refusals/{number}")
        if not told["refused"]:
            raise AssertionError(f"no {operation} was refused: {told['seen']} were seen")

    def operations(self, client: str = "", containing: str = "", since: float = 0) -> list[str]:
        """Return the operations of AWS that were asked for (`lambda.PublishVersion`), in order, from a time on.

        Those of clients alone whose user agent has a text in it: the provider's has `terraform-provider-aws/`, and what
        TF_APPEND_USER_AGENT says. And those alone that have a text in their path or body: a function's name, for one.
        """
        asked = urllib.parse.urlencode({"client": client, "containing": containing, "since": since})
        found: list[str] = self._gate("GET", f"operations?{asked}")
        return found

    def passed(self) -> str:
        """Say how much its strict gate held to AWS since it started."""
        asked = self.operations()
        operations = set(asked)
        services = {operation.partition(".")[0] for operation in operations}
        held = f"{len(asked)} requests, {len(operations)} operations of {len(services)} services held to their models"
        rules = self._gate("GET", "rules")
        refused = "".join(f", {times} times {rule}" for rule, times in sorted(rules["refused"].items()))
        return f"{held} and to {rules['rules']} rules{refused}"

    def notes(self, containing: str = "") -> list[dict[str, Any]]:
        """Return what AWS takes and is noted nevertheless, with a text in it: `about` (the rule), `text`, `client`, `at`."""
        found: list[dict[str, Any]] = self._gate("GET", "notes")
        return [note for note in found if containing in note["text"]]

    def violations(self) -> list[dict[str, Any]]:
        """Return the requests that AWS's models do not allow: `about` (the operation), `text`, `client`, `at`."""
        found: list[dict[str, Any]] = self._gate("GET", "violations")
        return found

    def take_violations(self, containing: str) -> list[dict[str, Any]]:
        """Return the violations with a text in them and forget them: a test that expects them takes them."""
        asked = urllib.parse.urlencode({"containing": containing})
        taken: list[dict[str, Any]] = self._gate("DELETE", f"violations?{asked}")
        return taken

    def _gate(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_gate/{path}", data, method=method)  # noqa: S310 - our own
        with direct.open(request, timeout=10) as answer:
            return json.load(answer)

    def get(self, path: str, host: str | None = None, seconds: float = 2) -> tuple[int, str]:
        """GET a path of it, under another host name if one is given, and return status and body.

        Raises OSError when there is no answer.
        """
        # Python's resolver does not know *.localhost, so such a name goes into the header.
        request = urllib.request.Request(f"{self.url}{path}", headers={"Host": host} if host else {})  # noqa: S310 - our own
        try:
            with direct.open(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"{self.url} does not speak HTTP: {error!r}") from error


def client(service: str, url: str) -> Any:
    """Return a boto3 client of an AWS service that is emulated at a URL."""
    import boto3  # half a second, which most commands do not need

    return boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def neutral_environment() -> dict[str, str]:
    """Return this process's environment without a person's AWS account, and without settings of another Terraform project."""
    strange = ("AWS_", "TF_VAR_", "TF_CLI_ARGS", "TF_CLOUD_", "TF_DATA_DIR", "TF_ENCRYPTION", "TF_WORKSPACE")
    return {k: v for k, v in os.environ.items() if not k.startswith(strange)}


def engine_of_the_client() -> dict[str, str]:
    """Return the engine that the Docker client is set to by a context, for programs that read DOCKER_HOST alone.

    The emulator does, and Terraform's Docker provider. Empty where they find the engine by themselves.
    """
    if "DOCKER_HOST" in os.environ or shutil.which("docker") is None:
        return {}
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    host = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"DOCKER_HOST": host} if host not in {"", "unix:///var/run/docker.sock"} else {}


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def refuse_a_port_in_use(port: int, server: str, way_out: str, *addresses: str) -> None:
    """Refuse a port that another program listens on: on loopback, wherever `localhost` leads clients, or on other addresses."""
    loopback = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    for family, address in [*loopback, *((socket.AF_INET, address) for address in addresses)]:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except PermissionError as error:
            raise SandboxError(f"only root may listen on port {port}. Name another: {way_out}") from error
        except OSError as error:
            # There is no IPv6 everywhere.
            if error.errno == errno.EADDRINUSE or family == socket.AF_INET:
                raise SandboxError(
                    f"port {port} is in use by another program, and the {server} needs it. "
                    f"Stop that program, or name another port: {way_out}"
                ) from error


def start(home: Path, port: int, server: Sequence[str] = SERVER) -> Emulator:
    """Start the emulator, or find the one already started from this folder. `server` is what Python runs.

    Raises SandboxError when something else holds the port, when its environment is missing, or when it does not answer
    within START_SECONDS.
    """
    emulator = Emulator(port, home)
    if running(home) == port and _answers(emulator):
        return emulator
    stop(home)
    bridged = [str(found.interface.ip)] if (found := bridge.find()) else []
    refuse_a_port_in_use(port, "emulator", f"PORT={free_port()}", *bridged)
    python = paths.environment("emulator") / "python"
    if not python.with_name("ministack").exists():
        raise SandboxError("the emulator is not installed: run `make .venvs/emulator/.ready` first.")
    temporary = _temporary(home)
    temporary.mkdir(parents=True, exist_ok=True)
    environment = engine_of_the_client() | {k: v for k, v in os.environ.items() if k.upper() in INHERITED}
    environment |= {
        "GATEWAY_PORT": str(port),
        # It would listen on all addresses for these, which nothing here uses.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        # Its default of 10 s for a call of the engine is too short where several containers start at once on two cores.
        "MINISTACK_DOCKER_TIMEOUT": "60",
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        # All that it writes; its defaults are folders that every emulator of the machine would share.
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
    while not _answers(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join((home / "emulator.log").read_text(errors="replace").splitlines()[-15:])
            stop(home)
            raise SandboxError(f"the emulator did not answer on port {port}. The end of its log:\n{tail}")
        time.sleep(0.1)
    process.returncode = 0  # it outlives this process on purpose; otherwise Python warns that it still runs
    return emulator


def stop(home: Path) -> bool:
    """Stop the emulator started from this folder, and tell whether there was one. A stale pid is never killed."""
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


def running(home: Path) -> int | None:
    """Return the port of the emulator started from this folder, None when it is gone."""
    try:
        pid, port = (int(word) for word in (home / "emulator.pid").read_text().split())
        # Collected if it is a child of ours, so that it does not stay behind as a zombie.
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        # The pid may be another program's by now, after a reboot for one; even that of another sandbox's emulator.
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return port if f"TMPDIR={_temporary(home)}".encode() in environment else None


def _answers(emulator: Emulator) -> bool:
    with suppress(OSError):
        return emulator.get("/_ministack/health")[0] == 200
    return False


def _temporary(home: Path) -> Path:
    return home.resolve() / "tmp"
