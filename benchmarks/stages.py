"""The stages of the service's start, in milliseconds since the process started: `stages.py EVENT`."""

import os
import sys
import time
from typing import Any

begin = float(os.environ["BENCH_BEGIN"])
reached: dict[str, float] = {}


def reach(stage: str) -> None:
    """Record the end of a stage."""
    reached[stage] = (time.time() - begin) * 1000


reach("interpreter")
import service.aws_lambda.cold_start.startup

reach("load precompiled code")
import botocore.session  # noqa: F401

reach("import botocore")
import pydantic  # noqa: F401

reach("import pydantic")
import fastapi  # noqa: F401

reach("import fastapi")
import mangum  # noqa: F401
import pydantic_settings  # noqa: F401

reach("import the rest")
import service.app
import service.kit.table

reach("import the service")
service.app.table()
reach("DynamoDB client")
import service.aws_lambda.handler

reach("application")

import json
from types import SimpleNamespace

context: Any = SimpleNamespace(aws_request_id="bench", get_remaining_time_in_millis=lambda: 10_000)
service.aws_lambda.handler.handler(json.loads(sys.argv[1]), context)
reach("first request")
print(json.dumps(reached))
