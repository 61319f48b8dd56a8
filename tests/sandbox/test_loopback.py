"""Only this machine and its functions can reach the emulator, since it controls an engine that runs containers as root."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator, free_port
from sandbox.emulator_server import bridge
from sandbox.engine import Engine, docker

REQUEST = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).status)"


def addresses() -> list[str]:
    """Return every non-loopback address of this machine, bridges included."""
    local = Path("/proc/net/fib_trie").read_text()
    return sorted(
        {address for address in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", local) if not address.startswith("127.")}
    )


def responds(address: str, port: int) -> bool:
    """Whether a request gets any byte back."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.sendall(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(1) != b""
    except OSError:
        return False


def test_emulator_responds_on_loopback_only(emulator: Emulator) -> None:
    others = addresses()
    if not others:
        pytest.skip("this machine has only loopback addresses")
    assert responds("127.0.0.1", emulator.port)
    assert [address for address in others if responds(address, emulator.port)] == []


@pytest.fixture
def neighbour() -> Iterator[Callable[[str, int], bool]]:
    """Another machine (a network namespace) on a shared network; returns whether it can connect."""
    name, ours, theirs = "lca-neighbour", "lca-ours", "lca-theirs"
    steps = (
        f"netns add {name}",
        f"link add {ours} type veth peer name {theirs} netns {name}",
        f"address add 198.51.100.1/24 dev {ours}",
        f"link set {ours} up",
        f"-n {name} address add 198.51.100.2/24 dev {theirs}",
        f"-n {name} link set {theirs} up",
        f"-n {name} route add default via 198.51.100.1",
    )
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"

    def connects(address: str, port: int) -> bool:
        command = ["ip", "netns", "exec", name, sys.executable, "-c", connect, address, str(port)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a separate network needs root and iproute2")
    try:
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        yield connects
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.mark.engine
def test_another_machine_cannot_connect(
    emulator: Emulator, engine: Engine, neighbour: Callable[[str, int], bool]
) -> None:
    with socket.create_server(("198.51.100.1", 0)) as server:
        assert neighbour("198.51.100.1", server.getsockname()[1])
    assert [address for address in addresses() if neighbour(address, emulator.port)] == []


def listening(pid: int) -> set[str]:
    """Return a process's listening sockets as in /proc: address and port in hexadecimal."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    listeners = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                listeners.add(words[1])
    return listeners


@pytest.mark.engine
def test_emulator_listens_only_on_loopback_and_the_bridge(emulator: Emulator, engine: Engine) -> None:
    found = bridge.find()
    if found is None:
        pytest.skip("the engine's bridge is not in this network namespace")
    expected = {
        f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{emulator.port:04X}"
        for address in ("127.0.0.1", str(found.interface.ip))
    }
    pid = int((emulator.home / "emulator.pid").read_text().split()[0])
    assert listening(pid) == expected


@pytest.mark.engine
def test_container_can_reach_the_emulator(emulator: Emulator, base_image: BaseImage) -> None:
    options = ("--rm", "--add-host", "host.docker.internal:host-gateway", "--entrypoint", "python")
    url = f"http://host.docker.internal:{emulator.port}/_ministack/health"
    assert docker("run", *options, base_image.reference, "-c", REQUEST, url).strip() == "200"


@pytest.fixture
def link() -> Iterator[str]:
    """A network device in place of the engine's bridge."""
    name = "lca-test0"
    if os.geteuid() != 0 or subprocess.run(["ip", "link", "add", name, "type", "veth"], check=False).returncode:
        pytest.skip("a network device needs root and iproute2")
    yield name
    subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def test_find_returns_the_bridges_network_or_none(link: str) -> None:
    assert bridge.find(link) is None  # no address yet
    subprocess.run(["ip", "address", "add", "198.51.100.1/28", "dev", link], check=True)
    found = bridge.find(link)
    assert found is not None
    assert str(found.interface) == "198.51.100.1/28"
    assert found.admits("198.51.100.14")
    assert not found.admits("198.51.100.17")  # another network
    assert not found.admits("198.51.100.1")  # this machine itself
    subprocess.run(["ip", "link", "delete", link], check=True)
    assert bridge.find(link) is None


def test_listener_follows_the_bridge(link: str) -> None:
    port = free_port()
    listener = f"{int.from_bytes(socket.inet_aton('198.51.100.1'), 'little'):08X}:{port:04X}"

    async def until(expected: bool) -> None:
        async with asyncio.timeout(10):
            while (listener in listening(os.getpid())) is not expected:
                await asyncio.sleep(0.05)

    async def life() -> None:
        task = asyncio.create_task(bridge.follow(port, link))
        for _ in range(2):
            await until(False)
            subprocess.run(["ip", "address", "add", "198.51.100.1/28", "dev", link], check=True)
            await until(True)
            subprocess.run(["ip", "address", "flush", "dev", link], check=True)
        await until(False)
        task.cancel()

    asyncio.run(life())
