"""What a customer is, and what a request may say about one."""

from pydantic import Field

from service.kit.models import Body, Email, Id, Name, Stored, unset


class CustomerCreate(Body):
    """A whole customer, to create or to replace one."""

    name: Name
    contact: Email | None = None
    """Where the customer is written to; several may share one."""
    owner_id: Id | None = None
    """The user who looks after the customer, and who cannot be deleted while that is so."""


class CustomerUpdate(Body):
    """The fields of a customer to change; those left out stay as they are."""

    name: Name = unset()
    contact: Email | None = None
    owner_id: Id | None = None


class CustomerPublic(Stored):
    """A customer as the API returns it."""

    name: str = Field(examples=["Ada Lovelace"])
    contact: str | None = Field(default=None, examples=["ada@example.com"])
    owner_id: Id | None = None
