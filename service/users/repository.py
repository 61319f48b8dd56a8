"""All that is done to users in the table. An item of its own for each address in use keeps addresses unique."""

from typing import Annotated, Any

from fastapi import Depends

from service.errors import Conflict
from service.models import Page, new_item, updated_item
from service.table import Item, Refused, SharedTable, Table, encoded, settled
from service.users.models import User, UserUpdate, UserWrite

KIND = "user"
EMAIL = "user-email"


class UserRepository:
    """Users in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, body: UserWrite) -> User:
        """Store a new user. Raises Conflict when the address is taken, also by a request at the same moment."""
        item = new_item(body)
        try:
            self._table.write(self._table.new(KIND, item["id"], item), self._claim(item))
        except Refused as refusal:
            raise _taken(item["email"]) from refusal
        return User.model_validate(item)

    def get(self, identity: str) -> User:
        """Return a user. Raises NotFound."""
        return User.model_validate(self._table.existing(KIND, identity))

    def list(self, limit: int, after: str | None) -> Page[User]:
        """Return a page of users in the order of their ids."""
        items, last = self._table.page(KIND, limit, after)
        return Page(items=[User.model_validate(item) for item in items], next_cursor=encoded(last))

    def replace(self, identity: str, body: UserWrite) -> User:
        """Put the body in the place of a user's fields. Raises NotFound, and Conflict when the new address is taken."""
        return settled(lambda: self._change(identity, body.model_dump()))

    def update(self, identity: str, body: UserUpdate) -> User:
        """Change the fields that the body sets. Raises NotFound, and Conflict when the new address is taken."""
        return settled(lambda: self._change(identity, body.model_dump(exclude_unset=True)))

    def delete(self, identity: str) -> None:
        """Remove a user and free the address. Raises NotFound."""
        settled(lambda: self._delete(identity))

    def _change(self, identity: str, fields: dict[str, Any]) -> User:
        old = self._table.existing(KIND, identity)
        new = updated_item(old, fields)
        parts = [self._table.replacement(KIND, identity, new, old["revision"])]
        if new["email"] != old["email"]:
            parts += [self._claim(new), self._table.removal(EMAIL, old["email"])]
        try:
            self._table.write(*parts)
        except Refused as refusal:
            if refusal.parts == (1,):
                raise _taken(new["email"]) from refusal
            raise
        return User.model_validate(new)

    def _delete(self, identity: str) -> None:
        old = self._table.existing(KIND, identity)
        self._table.write(
            self._table.removal(KIND, identity, old["revision"]), self._table.removal(EMAIL, old["email"])
        )

    def _claim(self, item: Item) -> Item:
        return self._table.new(EMAIL, item["email"], {"user_id": item["id"]})


def _taken(email: str) -> Conflict:
    return Conflict(f"A user with the e-mail address {email} exists already.")


async def _repository(table: SharedTable) -> UserRepository:
    return UserRepository(table)


Users = Annotated[UserRepository, Depends(_repository)]
