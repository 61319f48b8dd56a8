"""What a user is, and what a request may say about one."""

from pydantic import Field

from service.kit.models import Body, Email, Name, Stored, unset


class UserCreate(Body):
    """A whole user, to create or to replace one."""

    email: Email
    name: Name


class UserUpdate(Body):
    """The fields of a user to change; those left out stay as they are."""

    email: Email = unset()
    name: Name = unset()


class UserPublic(Stored):
    """A user as the API returns it."""

    email: str = Field(examples=["ada@example.com"])
    name: str = Field(examples=["Ada Lovelace"])
