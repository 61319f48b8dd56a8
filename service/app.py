"""The application: routers, errors, documentation. It is the same under Lambda and under uvicorn.

Routes and their dependencies are `async def` although boto3 blocks, on purpose: an execution environment serves one request at a
time, so that a thread pool would only add its cost, which is several times that of everything else here.
"""

from functools import cache
from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from service import system
from service.kit import auth, docs, errors, logs, middleware
from service.kit.resource import Resource, together
from service.kit.routing import ApiRoute
from service.kit.table import Table, open_table
from service.kit.table import install as install_table
from service.settings import settings

# Folders of this package. A new one is its line here, and no line of Terraform.
DOMAINS = [
    "users",
    "customers",
]


@cache
def table() -> Table:
    """Return the table that the settings name, through one client for the life of the process."""
    return open_table(settings().table_name)


def resources() -> list[Resource[Any]]:
    """Return what the domains declare. Raises ValueError for declarations that do not fit together."""
    modules = [import_module(f"service.{domain}.routes") for domain in DOMAINS]
    declared = [value for module in modules for value in vars(module).values() if isinstance(value, Resource)]
    return together(declared)


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
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # FastAPI would ask for OpenTelemetry at each request
    )
    auth.install(app, settings().scope_prefix)
    errors.install(app)
    middleware.install(app)
    logs.install(app, settings().function_name)
    resources()
    install_table(app, table, settings().request_seconds)
    for router in [system.router, *(import_module(f"service.{domain}.routes").router for domain in DOMAINS)]:
        add(app, router)
    docs.install(app)  # last: routes are tried in their order
    return app


def add(app: FastAPI, router: APIRouter) -> None:
    """Add a router's routes as they are: FastAPI would make those of an included router a second time, at the first request.

    Raises TypeError for a route of another class than `ApiRoute`, which would read bodies before it knows the caller.
    """
    for route in router.routes:
        if isinstance(route, APIRoute) and not isinstance(route, ApiRoute):
            raise TypeError(
                f"the route {route.path} is none of ApiRoute: make its router with APIRouter(route_class=ApiRoute)"
            )
    app.router.routes.extend(router.routes)
