"""One JSON object for each line on standard output, which is where Lambda collects them."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id that Lambda gave the request under way, None outside of Lambda."""


# Lambda takes a line whose level it does not know for INFO, and drops it where it was told to keep warnings.
LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, a stack included where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": LEVELS.get(record.levelname, record.levelname),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (identity := request_id.get()) is not None:
            line["request_id"] = identity
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str) -> None:
    """Send the root logger's records, from `level` on, to standard output as JSON, in place of any earlier handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They tell at INFO what they do inside, which says nothing about a request.
    for chatty in ("botocore", "mangum"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))
