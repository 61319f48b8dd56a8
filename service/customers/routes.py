"""Customers over HTTP."""

from service.customers.models import Customer, CustomerUpdate, CustomerWrite
from service.kit.crud import router_of
from service.kit.models import Email
from service.kit.resource import Lookup, Resource

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
