"""The service without the line that it logs for each request, which the peers do not: adapter, routing and validation are left."""

import service.startup  # noqa: F401 - before all other imports, as in the service's own module
from service import logs

logs.install = lambda *_: None

from service.main import handler  # noqa: F401
