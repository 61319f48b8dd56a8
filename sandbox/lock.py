"""One at a time: what the sandboxes of a machine share is changed by one of them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone() -> Iterator[None]:
    """Wait for every other sandbox that is changing packages, engine or base image, of whichever clone; not reentrant."""
    # The folder of temporary files itself is locked: all clones know it, and no lock file stays behind.
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
