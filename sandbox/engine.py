"""The Docker engine: the one that runs, or else one started here, shared by all sandboxes of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import emulator, packages
from sandbox.errors import SandboxError
from sandbox.progress import Step

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".sandbox" / "engine"
PACKAGES = ROOT / ".sandbox" / "packages"
# Any clone on this machine learns from this label which folder the running engine belongs to.
LABEL = "lambda-container-sandbox"
START_SECONDS = 60
STOP_SECONDS = 60
INSTALL = """no Docker engine answers, and one is needed to build and run the image.
Start it, or install one: https://docs.docker.com/engine/install/ (on Debian and Ubuntu also: apt-get install docker.io).
As root on Debian or Ubuntu the sandbox does that by itself."""


@dataclass(frozen=True)
class Engine:
    """A running engine. `home` is the folder of the sandbox that started it, None when it is somebody else's."""

    version: str
    home: Path | None


def find() -> Engine | None:
    """Return the engine that answers `docker info`, if any."""
    if shutil.which("docker") is None:
        return None
    info = subprocess.run(
        ["docker", "info", "--format", '{{.ServerVersion}}\n{{join .Labels "\\n"}}'],
        capture_output=True,
        text=True,
        check=False,
    )
    version, *labels = info.stdout.splitlines() or [""]
    if info.returncode or not version:
        return None
    homes = [label.partition("=")[2] for label in labels if label.startswith(f"{LABEL}=")]
    return Engine(version, Path(homes[0]) if homes else None)


def ensure(lessee: Path, step: Step) -> Engine:
    """Return an engine for the emulator whose folder is `lessee`, starting one where there is none and it may.

    Raises SandboxError that says what to install.
    """
    engine = find()
    if engine is None:
        if os.environ.get("DOCKER_HOST") or not packages.may_install():
            raise SandboxError(INSTALL)
        packages.install(["docker.io", "iptables"], PACKAGES, step)
        # With systemd the package has started its own service by now.
        engine = find() or _start(step)
    if engine.home is not None:
        lease = _lease(engine.home, lessee)
        lease.parent.mkdir(parents=True, exist_ok=True)
        lease.write_text(str(lessee.resolve()))
    return engine


def release(lessee: Path) -> bool:
    """Give the engine up, and tell whether that stopped it: only one that a sandbox started, and that no other uses."""
    engine = find()
    if engine is None or engine.home is None:
        return False
    _lease(engine.home, lessee).unlink(missing_ok=True)
    leases = [Path(lease.read_text()) for lease in (engine.home / "leases").glob("*")]
    # A lease without a running emulator is left over from a sandbox that died.
    if any(emulator.running(home) is not None for home in leases):
        return False
    _stop(engine.home)
    return True


def remove_containers(instance: str) -> int:
    """Remove the containers that one emulator started, and return how many there were."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={emulator.INSTANCE_LABEL}={instance}").split()
    if found:
        docker("rm", "--force", "--volumes", *found)
    return len(found)


def remove_images(prefix: str) -> int:
    """Remove the images whose name begins so, by tag and by digest, and return how many there were."""
    rows = docker("images", "--digests", "--format", "{{.Repository}} {{.ID}}").splitlines()
    found = sorted({identity for name, identity in (row.split() for row in rows) if name.startswith(prefix)})
    if found:
        docker("rmi", "--force", *found)
    return len(found)


def docker(*arguments: str) -> str:
    """Run the Docker client and return what it prints; SandboxError with its own words when it fails."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise SandboxError(f"docker {' '.join(arguments[:2])} failed: {result.stderr.strip()}")
    return result.stdout


def _lease(home: Path, lessee: Path) -> Path:
    return home / "leases" / hashlib.sha256(str(lessee.resolve()).encode()).hexdigest()[:16]


def _start(step: Step) -> Engine:
    HOME.mkdir(parents=True, exist_ok=True)
    step.say(f"starting a Docker engine of the sandbox's own, with its data in {HOME.relative_to(ROOT)}")
    (HOME / "forward-policy").write_text(_forward_policy())
    with (HOME / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [
                "dockerd",
                f"--data-root={HOME / 'data'}",
                f"--pidfile={HOME / 'dockerd.pid'}",
                f"--label={LABEL}={HOME}",
                "--shutdown-timeout=5",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while (engine := find()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join((HOME / "dockerd.log").read_text(errors="replace").splitlines()[-10:])
            process.kill()
            raise SandboxError(f"the Docker engine did not start. The end of its log:\n{tail}")
        time.sleep(0.2)
    process.returncode = 0  # it outlives this process on purpose; otherwise Python warns that it still runs
    return engine


def _stop(home: Path) -> None:
    """Stop an engine that a sandbox started, and remove its data, its socket and its network."""
    pidfile = home / "dockerd.pid"
    try:
        pid = int(pidfile.read_text())
    except (OSError, ValueError) as error:
        raise SandboxError(f"cannot tell which process is the engine of {home}: {error}") from error
    for container in docker("ps", "--all", "--quiet").split():
        docker("rm", "--force", "--volumes", container)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            raise SandboxError(f"the Docker engine (pid {pid}) did not stop within {STOP_SECONDS} s")
        time.sleep(0.1)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{home}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    _remove_network(home)
    shutil.rmtree("/var/run/docker", ignore_errors=True)
    Path("/var/run/docker.sock").unlink(missing_ok=True)
    shutil.rmtree(home)


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _forward_policy() -> str:
    rules = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False).stdout
    return rules.split()[2] if rules.startswith("-P FORWARD") else "ACCEPT"


def _remove_network(home: Path) -> None:
    """Take away the bridge and the packet filter's rules that the engine made; other rules stay as they are."""
    if shutil.which("ip"):
        subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    policy = (home / "forward-policy").read_text().strip()
    kept = [line for line in saved.splitlines() if "DOCKER" not in line and "docker0" not in line]
    kept = [line.replace(":FORWARD DROP", f":FORWARD {policy}") for line in kept]
    if saved:
        subprocess.run(["iptables-restore"], input="\n".join(kept) + "\n", text=True, check=False)
