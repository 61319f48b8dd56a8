"""The service without the line that it logs for each request, which the peers do not: Mangum, routing and validation are left."""

from contextlib import suppress

with suppress(ModuleNotFoundError):  # an optional stage, before all other imports as in the service's own module
    import service.aws_lambda.cold_start.startup  # noqa: F401

from service.kit import logs

logs.install = lambda *_: None

from service.aws_lambda.handler import handler  # noqa: F401
