"""Prepares the interpreter for the imports of a cold start: import it before all else, and call `finish` after the last import."""

import gc
from pathlib import Path

from service.aws_lambda.cold_start import precompiled

# Imports create objects that stay: garbage collections among them find nothing.
gc.disable()
precompiled.load(Path(__file__).with_name(precompiled.FILE))


def finish() -> None:
    """Undo what was prepared, and exempt what the imports have created from every later garbage collection."""
    precompiled.unload()
    gc.freeze()
    gc.enable()
