"""Customers over HTTP."""

from service.crud import router_of
from service.customers.models import Customer, CustomerUpdate, CustomerWrite
from service.models import Email
from service.resource import Lookup, Resource

router = router_of(
    Resource(
        "customer",
        CustomerWrite,
        CustomerUpdate,
        Customer,
        lookup=Lookup("contact", Email),
        references={"owner_id": "user"},
    )
)
