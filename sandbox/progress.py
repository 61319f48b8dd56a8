"""Progress of a command: a title, a result and a duration for each step."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A step without output for longer looks hung.
HEARTBEAT_SECONDS = 10


class Step:
    """A running step. `result` is printed at its end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.result = "done"

    def say(self, text: str) -> None:
        """Print a line of detail at once."""
        print(f"    {text}", flush=True)


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Print a step's title, a heartbeat, and at its end the result and the elapsed seconds."""
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
