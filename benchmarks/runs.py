"""Shared by the benchmarks of Terraform: an emulator, and the format of results."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox import emulator, providers, removal
from sandbox.emulator import SERVER, Emulator, free_port


@contextmanager
def own_emulator(server: Sequence[str] = SERVER) -> Iterator[Emulator]:
    """Start an emulator in a temporary folder; `server` are Python's arguments. Stops and removes it at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "sandbox"
        home.mkdir()
        aws = emulator.start(home, free_port(), server)
        try:
            yield aws
        finally:
            removal.remove(home, aws.port)


def terraform_environment(aws: Emulator) -> dict[str, str]:
    """Return the environment of Terraform's commands on an emulator: credentials, providers, and the client's engine."""
    return aws.environment() | providers.configure(aws.home).environment() | emulator.engine_of_the_client()


def spread(seconds: Sequence[float]) -> str:
    """Return the median, minimum and maximum as text."""
    return f"{statistics.median(seconds):5.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"
