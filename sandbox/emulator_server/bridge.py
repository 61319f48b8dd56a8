"""The only listener besides loopback: for function containers, on the Docker engine's bridge.

Containers reach this machine at host.docker.internal, which is the bridge's address. The emulator listens there while the
bridge exists. If the bridge is in another network namespace (Docker Desktop, rootless engines), it does not.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

BRIDGE = "docker0"
POLL_SECONDS = 0.25  # the engine may start after the emulator, and more than once
CHUNK = 65536
# From linux/sockios.h; Python has no names for them.
SIOCGIFADDR = 0x8915
SIOCGIFNETMASK = 0x891B

logger = logging.getLogger("sandbox.bridge")


@dataclass(frozen=True)
class Bridge:
    """A bridge. A recreated bridge has another index."""

    name: str
    index: int
    interface: IPv4Interface

    def admits(self, peer: str) -> bool:
        """Whether an address is a container's: in the bridge's network, and not this machine's own."""
        return IPv4Address(peer) in self.interface.network and IPv4Address(peer) != self.interface.ip


def find(name: str = BRIDGE) -> Bridge | None:
    """Return the bridge of that name, or None if it does not exist or has no address."""
    request = struct.pack("256s", name.encode())
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            address, mask = (
                socket.inet_ntoa(fcntl.ioctl(any_socket, code, request)[20:24])
                for code in (SIOCGIFADDR, SIOCGIFNETMASK)
            )
        return Bridge(name, socket.if_nametoindex(name), IPv4Interface(f"{address}/{mask}"))
    except OSError:
        return None


async def follow(port: int, name: str = BRIDGE) -> None:
    """Forward the port from the bridge's address to loopback while the bridge exists. Never returns."""
    served: Bridge | None = None
    failed: Bridge | None = None
    server: asyncio.Server | None = None
    while True:
        bridge = find(name)
        if server is not None and bridge != served:
            server.close()
            server = served = None
        if bridge is not None and server is None:
            try:
                server, served = await _serve(bridge, port), bridge
                logger.info("containers reach the emulator at %s:%d", bridge.interface.ip, port)
            except OSError as error:
                if bridge != failed:
                    logger.warning(
                        "containers cannot reach the emulator at %s:%d: %s", bridge.interface.ip, port, error
                    )
                failed = bridge
        await asyncio.sleep(POLL_SECONDS)


async def _serve(bridge: Bridge, port: int) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if bridge.admits(writer.get_extra_info("peername")[0]):
                await _forward(reader, writer, port)
        writer.close()

    listener = _listener(bridge, port)
    try:
        return await asyncio.start_server(connected, sock=listener)
    except OSError:
        listener.close()
        raise


def _listener(bridge: Bridge, port: int) -> socket.socket:
    """Return a socket bound to the bridge. It also accepts connections from this machine, which `admits` refuses."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Older kernels require root for this; without it, only the peer's address is checked.
        with suppress(PermissionError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.name.encode() + b"\0")
        listener.bind((str(bridge.interface.ip), port))
    except OSError:
        listener.close()
        raise
    return listener


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copy bytes in both directions until the emulator closes the connection."""
    upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
    requests = asyncio.create_task(_copy(reader, upstream_writer))
    try:
        await _copy(upstream_reader, writer)
    finally:
        requests.cancel()
        upstream_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
