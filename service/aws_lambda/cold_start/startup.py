"""What makes the imports of a cold start cheaper; imported before all else, and finished after it."""

import gc
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from service.aws_lambda.cold_start import precompiled

# Imports make objects that stay: looking for garbage among them again and again finds none.
gc.disable()

precompiled.recall(Path(__file__).parents[3] / precompiled.FILE)

# boto3 imports all that transfers files to S3 for one constant, which it finds here as well. Who transfers files imports the rest then.
TRANSFERS = "s3transfer.manager"
if TRANSFERS not in sys.modules:
    sys.modules[TRANSFERS] = ModuleType(TRANSFERS)
    sys.modules[TRANSFERS].TransferConfig = type("TransferConfig", (), {"UNSET_DEFAULT": None})  # type: ignore[attr-defined]
    import boto3  # noqa: F401

    del sys.modules[TRANSFERS]

from pydantic import BaseModel  # noqa: E402

# FastAPI asks of every type whether it is a model of Pydantic's first version, and imports all of that to know. It is not here.
V1 = "pydantic.v1"
sys.modules.setdefault(V1, None)  # type: ignore[arg-type]  # None is how Python notes what cannot be imported

# FastAPI's own models, those of the OpenAPI document for the most part, are built when they are first used: never, for most starts.
_rebuild: Any = BaseModel.__dict__["model_rebuild"]


def _later(model: type[BaseModel], /, **named: Any) -> Any:
    # FastAPI's calls, at the end of its import, name nothing. Pydantic's do, for a model that is used.
    return _rebuild.__func__(model, **named) if named else None


BaseModel.model_config["defer_build"] = True
BaseModel.model_rebuild = classmethod(_later)  # type: ignore[assignment,method-assign]
import fastapi  # noqa: E402, F401 - so that it is these models alone

BaseModel.model_rebuild = _rebuild  # type: ignore[method-assign]
BaseModel.model_config.pop("defer_build")


def finish() -> None:
    """Compile source as ever and collect garbage again from now on, and never look at what the imports have made."""
    precompiled.forget()
    if V1 in sys.modules and sys.modules[V1] is None:
        del sys.modules[V1]
    gc.freeze()
    gc.enable()
