"""Serve MiniStack on loopback until terminated: python -m sandbox.emulator_server."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

from sandbox.emulator_server import bridge, faults
from sandbox.emulator_server.asgi import App
from sandbox.emulator_server.strict.gate import Gate
from sandbox.emulator_server.strict.payload import Payloads
from sandbox.emulator_server.strict.preflight import Preflights
from sandbox.emulator_server.strict.provisioning import Provisioning
from sandbox.emulator_server.strict.weights import Weights


def held(app: App) -> App:
    """Return the application with its faults fixed, behind the strict gate."""
    # A repeated request is no second call for the gate either, whose rules would find that the resource exists.
    return faults.RepeatedCalls(Gate(Preflights(Payloads(Weights(Provisioning(faults.handled(app)))))))


async def main(port: int) -> None:
    """Serve until SIGTERM, as MiniStack's own program does, but on loopback and the bridge only."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.loglevel = os.environ.get("LOG_LEVEL", "INFO")
    async with asyncio.TaskGroup() as tasks:
        forwarding = tasks.create_task(bridge.follow(port))
        served: Any = held(app)
        await serve(served, config, mode="asgi")
        forwarding.cancel()


if __name__ == "__main__":
    # Many new connections at once need more open files than the default soft limit.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    asyncio.run(main(int(os.environ["GATEWAY_PORT"])))
