"""AWS on one port of this machine: MiniStack, as a background process with all of its state in one folder."""

from __future__ import annotations

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

ROOT = Path(__file__).resolve().parent.parent


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
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LOCALSTACK_", "MINISTACK_"))}
    environment |= {
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "INFO",
        # Its default of 10 s for a call of the engine is too short where several containers start at once on two cores.
        "MINISTACK_DOCKER_TIMEOUT": "60",
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "TMPDIR": str(temporary),
    }
    with (home / "emulator.log").open("ab") as log:
        process = subprocess.Popen(
            # A flood of new connections needs more files than the usual 1024.
            [
                "/bin/sh",
                "-c",
                'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$0"',
                str(program),
            ],
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
        # The pid may be another program's by now, after a reboot for one.
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return port if b"ministack" in command else None


def _answers(emulator: Emulator) -> bool:
    try:
        with urllib.request.urlopen(f"{emulator.url}/_ministack/health", timeout=2) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _refuse_a_port_in_use(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - where the emulator listens, for containers to reach it
        except OSError as error:
            raise SandboxError(
                f"port {port} is in use by another program, and the emulator needs it. "
                f"Stop that program, or name another port: make up PORT={port + 34}"
            ) from error
