"""Users over HTTP."""

from fastapi import APIRouter, Response

from service.auth import authenticated
from service.errors import documented
from service.models import Id, Page
from service.table import Cursor, Limit
from service.users.models import User, UserUpdate, UserWrite
from service.users.repository import Users

router = APIRouter(prefix="/users", tags=["users"], dependencies=authenticated)


@router.post("", status_code=201, responses=documented(400, 409, 503))
async def create_user(body: UserWrite, users: Users, response: Response) -> User:
    """Create a user. A second one with the same e-mail address is a conflict."""
    user = users.create(body)
    response.headers["location"] = f"/users/{user.id}"
    return user


@router.get("", responses=documented(400))
async def list_users(users: Users, limit: Limit = 50, cursor: Cursor = None) -> Page[User]:
    """List users, a page at a time."""
    return users.list(limit, cursor)


@router.get("/{user_id}", responses=documented(404))
async def read_user(user_id: Id, users: Users) -> User:
    """Read a user."""
    return users.get(user_id)


@router.put("/{user_id}", responses=documented(400, 404, 409, 503))
async def replace_user(user_id: Id, body: UserWrite, users: Users) -> User:
    """Replace a user."""
    return users.replace(user_id, body)


@router.patch("/{user_id}", responses=documented(400, 404, 409, 503))
async def update_user(user_id: Id, body: UserUpdate, users: Users) -> User:
    """Change some fields of a user."""
    return users.update(user_id, body)


@router.delete("/{user_id}", status_code=204, responses=documented(404, 503))
async def delete_user(user_id: Id, users: Users) -> None:
    """Delete a user; the e-mail address is free again."""
    users.delete(user_id)
