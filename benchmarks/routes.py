"""What a further route costs until the first request is answered, in milliseconds, by how many there are: `routes.py service|typical`."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

OURS = sys.argv[1] == "service"
if OURS:
    from service.aws_lambda.cold_start import startup

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field


class Thing(BaseModel):
    """What is sent and answered."""

    email: str = Field(max_length=254)
    name: str = Field(min_length=1, max_length=200)


async def read(identity: str) -> Any:
    """Answer."""
    raise NotImplementedError


async def change(identity: str, body: Thing) -> Thing:
    """Take a body, and answer by a model."""
    raise NotImplementedError


async def ask(app: FastAPI) -> None:
    """Ask for what no route serves, so that all are looked at."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(_: object) -> None:
        pass

    await app(scope, receive, send)


def service() -> tuple[FastAPI, Callable[[APIRouter], None], type[APIRoute]]:
    """Return an application of the service, how it adds a router, and the class of its routes."""
    from service.app import add, create_app
    from service.kit.routing import ApiRoute

    app = create_app()
    return app, lambda router: add(app, router), ApiRoute


def typical() -> tuple[FastAPI, Callable[[APIRouter], None], type[APIRoute]]:
    """Return a new application, how routers are added by default, and the class of their routes."""
    app = FastAPI()
    return app, app.include_router, APIRoute


costs: dict[str, dict[int, float]] = {}
for kind, operation, method in (("", read, "GET"), (" with a body and a model", change, "PUT")):
    app, add, route_class = service() if OURS else typical()
    added = 0
    for upto in (1, 10, 50, 100, 200):
        begin = time.perf_counter()
        for number in range(added, upto):
            router = APIRouter(route_class=route_class)
            router.add_api_route(f"/r{number}/{{identity}}", operation, methods=[method], operation_id=f"r{number}")
            add(router)
        asyncio.run(ask(app))
        if added:  # what is done once counts for none of them
            costs.setdefault(kind, {})[upto] = (time.perf_counter() - begin) * 1000 / (upto - added)
        added = upto
if OURS:
    startup.finish()
print(
    json.dumps({f"a further route{kind}, of {upto}, ms": cost for kind in costs for upto, cost in costs[kind].items()})
)
