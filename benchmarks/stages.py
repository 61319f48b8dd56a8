"""The service's start by stage, in milliseconds from the process's beginning: `stages.py EVENT`."""

import os
import sys
import time
from typing import Any, ClassVar

begin = float(os.environ["BENCH_BEGIN"])
reached: dict[str, float] = {}


def reach(stage: str) -> None:
    """Note that a stage is behind us."""
    reached[stage] = (time.time() - begin) * 1000


class Watch:
    """Notes that the stage before is over when the first import of a package begins."""

    before: ClassVar = {"boto3": "what is precompiled", "pydantic": "import boto3", "fastapi": "import pydantic"}

    @classmethod
    def find_spec(cls, name: str, *_: object) -> None:
        """Find nothing."""
        if name in cls.before:
            reach(cls.before.pop(name))


reach("interpreter")
sys.meta_path.insert(0, Watch)

import service.aws_lambda.cold_start.startup

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
