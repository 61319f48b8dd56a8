"""All that is done to customers in the table."""

from typing import Annotated, Any

from fastapi import Depends

from service.customers.models import Customer, CustomerUpdate, CustomerWrite
from service.models import Page, new_item, updated_item
from service.table import SharedTable, Table, encoded, settled

KIND = "customer"


class CustomerRepository:
    """Customers in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, body: CustomerWrite) -> Customer:
        """Store a new customer."""
        item = new_item(body)
        self._table.write(self._table.new(KIND, item["id"], item))
        return Customer.model_validate(item)

    def get(self, identity: str) -> Customer:
        """Return a customer. Raises NotFound."""
        return Customer.model_validate(self._table.existing(KIND, identity))

    def list(self, limit: int, after: str | None) -> Page[Customer]:
        """Return a page of customers in the order of their ids."""
        items, last = self._table.page(KIND, limit, after)
        return Page(items=[Customer.model_validate(item) for item in items], next_cursor=encoded(last))

    def replace(self, identity: str, body: CustomerWrite) -> Customer:
        """Put the body in the place of a customer's fields. Raises NotFound."""
        return settled(lambda: self._change(identity, body.model_dump()))

    def update(self, identity: str, body: CustomerUpdate) -> Customer:
        """Change the fields that the body sets. Raises NotFound."""
        return settled(lambda: self._change(identity, body.model_dump(exclude_unset=True)))

    def delete(self, identity: str) -> None:
        """Remove a customer. Raises NotFound."""
        settled(
            lambda: self._table.write(
                self._table.removal(KIND, identity, self._table.existing(KIND, identity)["revision"])
            )
        )

    def _change(self, identity: str, fields: dict[str, Any]) -> Customer:
        old = self._table.existing(KIND, identity)
        new = updated_item(old, fields)
        self._table.write(self._table.replacement(KIND, identity, new, old["revision"]))
        return Customer.model_validate(new)


async def _repository(table: SharedTable) -> CustomerRepository:
    return CustomerRepository(table)


Customers = Annotated[CustomerRepository, Depends(_repository)]
