"""Customers over HTTP."""

from service.customers.models import CustomerCreate, CustomerPublic, CustomerUpdate
from service.kit.crud import router_of
from service.kit.resource import Lookup, Resource

CUSTOMERS = Resource(
    "customer",
    CustomerPublic,
    CustomerCreate,
    CustomerUpdate,
    lookups=[Lookup("contact")],
    references={"owner_id": "user"},
)
router = router_of(CUSTOMERS)
