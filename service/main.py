"""The handler that Lambda calls."""

import logging
from typing import Any

from service import startup  # isort: skip - before all other imports

from mangum import Mangum

from service import logs
from service.app import create_app
from service.errors import MEDIA_TYPE
from service.table import table

logger = logging.getLogger(__name__)

app = create_app()
# The client is made while Lambda starts the environment, with more processor than a request has.
table()
# Without a lifespan, which Mangum would run for every request, and with errors as text rather than base64.
_serve = Mangum(
    app, lifespan="off", text_mime_types=["text/", "application/json", "application/javascript", MEDIA_TYPE]
)
startup.finish()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an event of API Gateway's HTTP API (payload 2.0). Any other, such as a warm-up ping, does nothing."""
    logs.request_id.set(getattr(context, "aws_request_id", None))
    if not isinstance(event, dict) or not (event.get("requestContext") or {}).get("http"):
        logger.info("not an HTTP event, nothing to do")
        return {"statusCode": 204}
    event["headers"] = event.get("headers") or {}
    return dict(_serve(event, context))
