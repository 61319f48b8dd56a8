"""The service without the line that it logs for each request, which the peers do not: adapter, routing and validation are left."""

import service.aws_lambda.cold_start.startup  # noqa: F401 - before all other imports, as in the service's own module
from service.kit import logs

logs.install = lambda *_: None

from service.aws_lambda.handler import handler  # noqa: F401
