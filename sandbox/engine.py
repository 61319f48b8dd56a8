"""The Docker engine: the running one, or one started here and shared by all sandboxes of this machine."""

from __future__ import annotations

import hashlib
import json
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
from sandbox.lock import machine_lock
from sandbox.paths import SANDBOXES
from sandbox.progress import Step

HOME = SANDBOXES / "engine"
PACKAGES = SANDBOXES / "packages"
# Tells every clone on this machine which folder the running engine belongs to.
LABEL = "lambda-container-sandbox"
START_SECONDS = 60
STOP_SECONDS = 60
INSTALL = """no Docker engine is running, and building and running the image needs one.
Start it, or install one: https://docs.docker.com/engine/install/ (on Debian and Ubuntu also: apt-get install docker.io).
As root on Debian or Ubuntu, and without DOCKER_HOST, the sandbox installs it.
The Docker client printed: {error}"""
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
BRIDGE = "docker0"
NAMESPACES = Path("/run/docker/netns")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
# The CPU weight of the group of all containers, sixteen times a process's, in versions 1 and 2 of control groups.
CPU_WEIGHT = {"cpu/docker/cpu.shares": "16384", "docker/cpu.weight": "1600"}


@dataclass(frozen=True)
class Engine:
    """A running engine. `home` is the folder that a sandbox started it from, or None if no sandbox did."""

    version: str
    home: Path | None


def find() -> Engine | None:
    """Return the engine that `docker info` finds, or None."""
    info = _info()
    version, *labels = info.stdout.splitlines() or [""]
    if info.returncode or not version:
        return None
    homes = [label.partition("=")[2] for label in labels if label.startswith(f"{LABEL}=")]
    return Engine(version, Path(homes[0]) if homes else None)


def _info() -> subprocess.CompletedProcess[str]:
    command = ["docker", "info", "--format", '{{.ServerVersion}}\n{{join .Labels "\\n"}}']
    if shutil.which("docker") is None:
        return subprocess.CompletedProcess(command, 127, "", "docker is not on PATH")
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ensure(lessee: Path, step: Step) -> Engine:
    """Return an engine for the emulator whose folder is `lessee`, and start one if needed and permitted.

    SandboxError says what to install.
    """
    with machine_lock():
        engine = find()
        if engine is None:
            if os.environ.get("DOCKER_HOST") or not packages.may_install():
                raise SandboxError(INSTALL.format(error=_info().stderr.strip() or "nothing"))
            packages.install(["docker.io", "iptables"], PACKAGES, step)
            if shutil.which("docker") is None:
                packages.install(["docker-cli"], PACKAGES, step)  # a separate package in newer Debian releases
            # With systemd, the package starts the service; an existing one may be stopped.
            if packages.has_systemd():
                subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
            engine = find()
        if engine is None:
            step.say(f"starting the sandbox's own Docker engine, with its data in {HOME}")
            engine = _start(HOME)
        if engine.home is not None:
            lease = _lease(engine.home, lessee)
            lease.parent.mkdir(parents=True, exist_ok=True)
            lease.write_text(str(lessee.resolve()))
        return engine


def release(lessee: Path) -> bool:
    """Release the engine, and return whether it was stopped: only if a sandbox started it and no other uses it."""
    with machine_lock():
        engine = find()
        home = engine.home if engine and engine.home else HOME
        _lease(home, lessee).unlink(missing_ok=True)
        if leased(home):
            return False
        if engine is None and home.exists() and "DOCKER_HOST" not in os.environ and shutil.which("dockerd"):
            # It was killed, and its containers and network may remain; only an engine can remove them.
            with suppress(SandboxError):
                engine = _start(home)
        if engine is not None and engine.home == home:
            _stop(home)
            _restore_network(home / "network.json")
            _remove_files(home)
            return True
        # It may still be running under another Docker context; if not, only files remain.
        if home.exists() and not _processes(_label(home)):
            _remove_files(home)
        return False


def leased(home: Path) -> bool:
    """Whether a running emulator uses the engine. A lease without one is stale."""
    leases = [Path(lease.read_text()) for lease in (home / "leases").glob("*")]
    return any(emulator.running(lessee) is not None for lessee in leases)


def remove_containers(instance: str) -> int:
    """Remove the containers of one emulator, and return how many."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={emulator.INSTANCE_LABEL}={instance}").split()
    if found:
        docker("rm", "--force", "--volumes", *found)
    return len(found)


def remove_images(prefix: str) -> int:
    """Remove the tags and digests that start with a prefix, and return the number of images concerned.

    An image that another sandbox built from the same content keeps that sandbox's tags.
    """
    rows = docker("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}").splitlines()
    found = [row.split() for row in rows if row.startswith(prefix)]
    names = {f"{repository}:{tag}" for repository, tag, _, _ in found if tag != "<none>"}
    names |= {f"{repository}@{digest}" for repository, _, digest, _ in found if digest != "<none>"}
    for name in sorted(names):
        # It may already have been removed together with another.
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)
    return len({image_id for *_, image_id in found})


def remove_unnamed_images(label: str) -> None:
    """Remove untagged images (build stages) that inherited a label from their base image."""
    docker("image", "prune", "--force", "--filter", f"label={label}")


def docker(*arguments: str) -> str:
    """Run the Docker client and return its output. SandboxError with its error message when it fails."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise SandboxError(f"docker {' '.join(arguments[:2])} failed: {result.stderr.strip()}")
    return result.stdout


def _lease(home: Path, lessee: Path) -> Path:
    return home / "leases" / hashlib.sha256(str(lessee.resolve()).encode()).hexdigest()[:16]


def _start(home: Path) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    if not _any_engine_running():
        _remove_leftovers(BRIDGE, NAMESPACES)
    before = home / "network.json"
    if not before.exists():
        before.write_text(json.dumps({"forward": _forward_policies(), "forwarding": FORWARDING.read_text()}))
    command = [
        "dockerd",
        f"--data-root={home / 'data'}",
        f"--pidfile={home / 'dockerd.pid'}",
        _label(home),
        "--shutdown-timeout=5",
    ]
    with (home / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while (engine := find()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join((home / "dockerd.log").read_text(errors="replace").splitlines()[-10:])
            process.kill()
            raise SandboxError(f"the Docker engine did not start. End of its log:\n{tail}")
        time.sleep(0.2)
    process.returncode = 0  # it outlives this process; otherwise Python warns that it is still running
    _give_containers_cpu(CONTROL_GROUPS)
    return engine


def _give_containers_cpu(groups: Path) -> None:
    """Let containers compete for the CPU as other processes do.

    By default, the group of all containers together has the weight of one process: while Terraform and its providers run,
    with a dozen threads, a function's start takes longer than its time limit.
    """
    for name, weight in CPU_WEIGHT.items():
        setting = groups / name
        if (setting.parent.parent / "cgroup.procs").exists():
            with suppress(OSError):  # read-only in some containers
                setting.parent.mkdir(exist_ok=True)
                setting.write_text(weight)


def _remove_leftovers(bridge: str, namespaces: Path) -> None:
    """Remove the bridge of a killed engine, with the interfaces attached to it. Call it only when no engine is running.

    The next engine would reuse the bridge and assign its containers the same addresses: some would be unreachable, without
    any error.
    """
    if shutil.which("ip") is None:
        return
    ports = Path("/sys/class/net", bridge, "brif")
    for link in [*(port.name for port in ports.glob("*")), bridge]:
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
    unmount_below(namespaces)


def _label(home: Path) -> str:
    return f"--label={LABEL}={home}"


def _stop(home: Path) -> None:
    """Remove the containers of the sandbox's engine, and stop it."""
    for container in docker("ps", "--all", "--quiet").split():
        docker("rm", "--force", "--volumes", container)
    pids = _processes(_label(home))
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise SandboxError(f"the Docker engine (pid {pids}) did not stop within {STOP_SECONDS} s")
        time.sleep(0.1)
    shutil.rmtree("/var/run/docker", ignore_errors=True)
    Path("/var/run/docker.sock").unlink(missing_ok=True)


def _remove_files(home: Path) -> None:
    unmount_below(home)
    shutil.rmtree(home)


def unmount_below(folder: Path) -> None:
    """Unmount every mount below a folder, innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def _processes(argument: str) -> list[int]:
    """Return the processes with an argument that starts with a text."""
    pids = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if any(word.startswith(argument.encode()) for word in command.read_bytes().split(b"\0")):
                pids.append(int(command.parent.name))
    return pids


def _any_engine_running() -> bool:
    """Whether any engine is running on this machine, even one that the client does not use."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if name.read_text().strip() == "dockerd":
                return True
    return False


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        # A zombie has no command line.
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def _forward_policies() -> dict[str, str]:
    """Return the policy of the FORWARD chain of iptables and ip6tables."""
    policies = {}
    for tables in ("iptables", "ip6tables"):
        if shutil.which(tables):
            rules = subprocess.run([tables, "-S", "FORWARD"], capture_output=True, text=True, check=False).stdout
            policies[tables] = rules.split()[2] if rules.startswith("-P FORWARD") else "ACCEPT"
    return policies


def _restore_network(before: Path) -> None:
    """Remove the engine's bridge and iptables rules; other rules are kept."""
    if not before.exists():
        return
    state = json.loads(before.read_text())
    if shutil.which("ip"):
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)
    for tables, policy in state["forward"].items():
        saved = subprocess.run([f"{tables}-save"], capture_output=True, text=True, check=False).stdout
        kept = [line for line in saved.splitlines() if "DOCKER" not in line and BRIDGE not in line]
        kept = [line.replace(":FORWARD DROP", f":FORWARD {policy}") for line in kept]
        if len(kept) < len(saved.splitlines()):
            subprocess.run([f"{tables}-restore"], input="\n".join(kept) + "\n", text=True, check=False)
    with suppress(OSError):  # read-only in some containers, where the engine cannot change it either
        FORWARDING.write_text(state["forwarding"])
