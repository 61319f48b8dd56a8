"""What every benchmark of Terraform needs: an emulator of its own, and a line for what was measured."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox import emulator, removal
from sandbox.emulator import SERVER, Emulator, free_port


@contextmanager
def own_emulator(server: Sequence[str] = SERVER) -> Iterator[Emulator]:
    """An emulator for the block, in a folder that goes with it. `server` is what Python runs."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "sandbox"
        home.mkdir()
        aws = emulator.start(home, free_port(), server)
        try:
            yield aws
        finally:
            removal.remove(home, aws.port)


def spread(seconds: Sequence[float]) -> str:
    """Return the median of some times, and the least and the most."""
    return f"{statistics.median(seconds):5.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"
