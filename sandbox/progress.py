"""One line for each step: what it is doing, what came of it, and how long it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A step that says nothing for longer looks hung.
HEARTBEAT_SECONDS = 10


class Step:
    """A step under way. `result` is what its last line says it came to."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.result = "done"

    def say(self, text: str) -> None:
        """Print a line of detail at once."""
        print(f"    {text}", flush=True)


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Announce a step, show that it still runs, and close it with its result and elapsed seconds."""
    current = Step(title)
    begin = time.monotonic()
    done = threading.Event()

    def heartbeat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            print(f"    … {title.lower()}, {time.monotonic() - begin:.0f} s so far", flush=True)

    print(f"==> {title}", flush=True)
    beat = threading.Thread(target=heartbeat, daemon=True)
    beat.start()
    try:
        yield current
    except BaseException:
        current.result = "failed"
        raise
    finally:
        done.set()
        beat.join()
        stream = sys.stderr if current.result == "failed" else sys.stdout
        print(f"    {current.result} ({time.monotonic() - begin:.1f} s)", file=stream, flush=True)
