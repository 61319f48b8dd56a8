"""The application: routers, errors, documentation. It is the same under Lambda and under uvicorn.

Routes and their dependencies are `async def` although boto3 blocks, on purpose: an execution environment serves one request at a
time, so that a thread pool would only add its cost, which is several times that of everything else here.
"""

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service import docs, errors, logs, system
from service.customers import routes as customers
from service.settings import settings
from service.users import routes as users

ROUTERS = [system.router, users.router, customers.router]


def create_app() -> FastAPI:
    """Return a new application, set up from the environment."""
    logs.configure(settings().log_level)
    app = FastAPI(
        title="People",
        description="Users and customers.",
        version=settings().release,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # /users and /users/ are two paths to the gateway as well
        generate_unique_id_function=_operation_id,
    )
    errors.install(app)
    docs.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _operation_id(route: APIRoute) -> str:
    # The function's name alone, which is what a client generator should name the call.
    return route.name
