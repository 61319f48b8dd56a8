"""The API on Powertools with a log line and metrics for each request, by Powertools' own Logger and Metrics: what the service writes."""

import time
from typing import Any

from app import app  # powertools.py, in its tree
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="bench", level="INFO")
metrics = Metrics(namespace="People", service="bench")


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an event, and tell of it."""
    began = time.perf_counter()
    answer = app.resolve(event, context)
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    http = event["requestContext"]["http"]
    metrics.add_dimension(name="operation", value=http["method"])
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Errors", unit=MetricUnit.Count, value=int(answer["statusCode"] >= 500))
    metrics.add_metric(name="Latency", unit=MetricUnit.Milliseconds, value=milliseconds)
    logger.info(
        "request", extra={"method": http["method"], "status": answer["statusCode"], "duration_ms": milliseconds}
    )
    return answer
