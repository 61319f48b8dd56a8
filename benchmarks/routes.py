"""What a further route costs at start, in milliseconds, by how many there are already."""

import json
import time

from service import startup  # isort: skip - as the service does

from fastapi import APIRouter

from service.app import create_app
from service.users.models import User, UserWrite


async def operation(identity: str, body: UserWrite) -> User:
    """Change."""
    raise NotImplementedError


costs: dict[int, float] = {}
app = create_app()
added = 0
for upto in (10, 50, 100, 200):
    begin = time.perf_counter()
    for number in range(added, upto):
        router = APIRouter()
        router.add_api_route(f"/r{number}/{{identity}}", operation, methods=["PUT"], operation_id=f"r{number}")
        app.router.routes.extend(router.routes)
    costs[upto] = (time.perf_counter() - begin) * 1000 / (upto - added)
    added = upto
print(json.dumps(costs))
startup.finish()
