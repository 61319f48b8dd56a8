"""What makes the imports of a cold start cheaper; imported before all else, and finished after it."""

import gc

from pydantic import BaseModel

# Imports make objects that stay: looking for garbage among them again and again finds none.
gc.disable()
# FastAPI's own models, those of the OpenAPI document for the most part, are built when they are first used: never, for most starts.
BaseModel.model_config["defer_build"] = True
import fastapi  # noqa: E402, F401 - so that it is these models alone

BaseModel.model_config.pop("defer_build")


def finish() -> None:
    """Collect garbage again from now on, and never look at what the imports have made."""
    gc.freeze()
    gc.enable()
