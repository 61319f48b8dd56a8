"""The FastAPI application. It is the same under Lambda and under uvicorn.

Routes and dependencies are `async def` although boto3 blocks: a Lambda environment serves one request at a time, so that a thread
pool would only add its own cost.
"""

from functools import cache
from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from service import system
from service.kit import auth, cors, docs, errors, logs, middleware
from service.kit.resource import Resource, together
from service.kit.routing import ApiRoute
from service.kit.table import Table, open_table
from service.kit.table import install as install_table
from service.settings import settings

# Folders of this package. A new domain needs a line here, and no line of Terraform.
DOMAINS = [
    "users",
    "customers",
]


@cache
def table() -> Table:
    """Return the table of the settings, with one client for the life of the process."""
    return open_table(settings().table_name)


def resources() -> list[Resource[Any]]:
    """Return the resources of all domains. Raises ValueError for declarations that contradict each other."""
    modules = [import_module(f"service.{domain}.routes") for domain in DOMAINS]
    declared = [value for module in modules for value in vars(module).values() if isinstance(value, Resource)]
    return together(declared)


def create_app() -> FastAPI:
    """Return a new application, configured by the environment."""
    logs.configure(settings().log_level)
    app = FastAPI(
        title="People",
        description="Users and customers.",
        version=settings().release,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # /users and /users/ are two paths for the gateway as well
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # FastAPI would look for OpenTelemetry at each request
    )
    auth.install(app, settings().scope_prefix)
    errors.install(app)
    cors.install(app, settings().cors_origins, credentials=settings().cors_credentials)
    middleware.install(app)
    logs.install(app, settings().function_name)
    resources()
    install_table(app, table, settings().request_seconds)
    for router in [system.router, *(import_module(f"service.{domain}.routes").router for domain in DOMAINS)]:
        add(app, router)
    docs.install(app)  # last: routes are tried in their order
    return app


def add(app: FastAPI, router: APIRouter) -> None:
    """Add a router's routes without `include_router`, which would create them a second time at the first request.

    Raises TypeError for a route that is not an `ApiRoute`: it would read the body before it checks the caller.
    """
    for route in router.routes:
        if isinstance(route, APIRoute) and not isinstance(route, ApiRoute):
            raise TypeError(
                f"the route {route.path} is not an ApiRoute: create its router with APIRouter(route_class=ApiRoute)"
            )
    app.router.routes.extend(router.routes)
