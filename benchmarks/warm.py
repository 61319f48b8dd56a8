"""Print the median time of a handler's calls in this process, in microseconds: `warm.py HANDLER EVENT TIMES WHERE RESPONSE`.

DynamoDB's response replaces the `network` (in DynamoDB's types) or the `client` (in Python's types).
"""

import copy
import importlib
import json
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any

import botocore.client
import botocore.httpsession
from botocore.awsrequest import AWSResponse

HEADERS: Any = {"content-type": "application/x-amz-json-1.0"}
WHERE, ANSWER = sys.argv[4], sys.argv[5].encode()
FOUND = json.loads(ANSWER)


class Raw:
    """The raw response."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        """Yield the body."""
        yield self.body

    def read(self, *_: Any, **__: Any) -> bytes:
        """Return the body."""
        return self.body


def send(_: Any, request: Any) -> AWSResponse:
    """Return DynamoDB's response."""
    return AWSResponse(request.url, 200, HEADERS, Raw(ANSWER))


def call(*_: Any, **__: Any) -> Any:
    """Return the response of DynamoDB's client."""
    return copy.deepcopy(FOUND)


if WHERE == "client":
    botocore.client.BaseClient._make_api_call = call  # type: ignore[attr-defined]
else:
    botocore.httpsession.URLLib3Session.send = send  # type: ignore[method-assign,assignment]
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
event, times = json.loads(sys.argv[2]), int(sys.argv[3])
context = SimpleNamespace(
    aws_request_id="bench",
    function_name="bench",
    get_remaining_time_in_millis=lambda: 10_000,
    invoked_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:bench",
    memory_limit_in_mb=512,
)
spent = []
for _round in range(times):
    given = copy.deepcopy(event)
    begin = time.perf_counter()
    handler(given, context)
    spent.append(time.perf_counter() - begin)
print(statistics.median(spent[times // 4 :]) * 1e6)
