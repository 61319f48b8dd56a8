"""The handler that Lambda calls. It is a module of its own, because Mangum opens an event loop."""

from mangum import Mangum

from people.main import app

handler = Mangum(app, lifespan="off")
