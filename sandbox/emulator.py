"""AWS on one port of this machine: MiniStack, as a background process with all of its state in one folder."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

REGION = "eu-central-1"
START_SECONDS = 60
STOP_SECONDS = 20
# Every container that it starts carries this label: its host's name and its port.
INSTANCE_LABEL = "ministack.instance"

# What of this process's environment it gets; its own settings, and a person's AWS account, are kept from it.
INHERITED = {"DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "HOME", "LANG", "PATH"}
INHERITED |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"}

ROOT = Path(__file__).resolve().parent.parent

# The provider's checks of its login would ask AWS itself, wherever the endpoint points.
AWS_PROVIDER = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
# The emulator's registry stands for ECR's, and asks for no login.
DOCKER_PROVIDER = """
provider "docker" {{
  registry_auth {{
    address       = "http://{registry}"
    auth_disabled = true
  }}
}}
"""
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

    def provider_blocks(self) -> str:
        """Return the provider blocks, HCL for an override file, that a root needs to run on it."""
        return AWS_PROVIDER + DOCKER_PROVIDER.format(registry=self.registry)

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


def neutral_environment() -> dict[str, str]:
    """Return this process's environment without a person's AWS account, and without settings of another Terraform project."""
    strange = ("AWS_", "TF_VAR_", "TF_CLI_ARGS", "TF_DATA_DIR", "TF_WORKSPACE")
    return {k: v for k, v in os.environ.items() if not k.startswith(strange)}


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(home: Path, port: int) -> Emulator:
    """Start the emulator, or find the one already started from this folder.

    Raises SandboxError when something else holds the port, when its environment is missing, or when it does not answer
    within START_SECONDS.
    """
    emulator = Emulator(port, home)
    if running(home) == port and _answers(emulator):
        return emulator
    stop(home)
    _refuse_a_port_in_use(port)
    program = ROOT / ".venvs" / "emulator" / "bin" / "ministack"
    if not program.exists():
        raise SandboxError(f"{program.relative_to(ROOT)} is missing: run `make .venvs/emulator/.ready` first.")
    temporary = _temporary(home)
    temporary.mkdir(parents=True, exist_ok=True)
    environment = _engine_of_the_client() | {k: v for k, v in os.environ.items() if k.upper() in INHERITED}
    environment |= {
        "GATEWAY_PORT": str(port),
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
        # It raises its own limit of open files, which a flood of new connections needs.
        process = subprocess.Popen(
            [program],
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


def _engine_of_the_client() -> dict[str, str]:
    """Return the engine that the Docker client is set to by a context, which only that client knows how to read."""
    if "DOCKER_HOST" in os.environ or shutil.which("docker") is None:
        return {}
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    host = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"DOCKER_HOST": host} if host else {}


def _refuse_a_port_in_use(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - where the emulator listens, for containers to reach it
        except OSError as error:
            raise SandboxError(
                f"port {port} is in use by another program, and the emulator needs it. "
                f"Stop that program, or name another port: make up PORT={free_port()}"
            ) from error
