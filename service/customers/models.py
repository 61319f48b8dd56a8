"""What a customer is, and what a request may say about one."""

from service.models import Body, Email, Name, Stored, unset


class CustomerWrite(Body):
    """A whole customer, to create or to replace one."""

    name: Name
    contact: Email | None = None
    """Where the customer is written to; several may share one."""


class CustomerUpdate(Body):
    """The fields of a customer to change; those left out stay as they are."""

    name: Name = unset()
    contact: Email | None = None


class Customer(Stored):
    """A customer as the API shows it."""

    name: str
    contact: str | None = None
