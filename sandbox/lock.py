"""A machine-wide lock on what all sandboxes share."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the lock on packages, engine and base image, across all clones of the project. Not reentrant."""
    # Locks the temporary folder itself: all clones share it, and no lock file remains.
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
