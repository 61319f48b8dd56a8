"""Customers over HTTP."""

from fastapi import APIRouter, Response

from service.auth import authenticated
from service.customers.models import Customer, CustomerUpdate, CustomerWrite
from service.customers.repository import Customers
from service.errors import documented
from service.models import Id, Page
from service.table import Cursor, Limit

router = APIRouter(prefix="/customers", tags=["customers"], dependencies=authenticated)


@router.post("", status_code=201, responses=documented(400, 503))
async def create_customer(body: CustomerWrite, customers: Customers, response: Response) -> Customer:
    """Create a customer."""
    customer = customers.create(body)
    response.headers["location"] = f"/customers/{customer.id}"
    return customer


@router.get("", responses=documented(400))
async def list_customers(customers: Customers, limit: Limit = 50, cursor: Cursor = None) -> Page[Customer]:
    """List customers, a page at a time."""
    return customers.list(limit, cursor)


@router.get("/{customer_id}", responses=documented(404))
async def read_customer(customer_id: Id, customers: Customers) -> Customer:
    """Read a customer."""
    return customers.get(customer_id)


@router.put("/{customer_id}", responses=documented(400, 404, 503))
async def replace_customer(customer_id: Id, body: CustomerWrite, customers: Customers) -> Customer:
    """Replace a customer."""
    return customers.replace(customer_id, body)


@router.patch("/{customer_id}", responses=documented(400, 404, 503))
async def update_customer(customer_id: Id, body: CustomerUpdate, customers: Customers) -> Customer:
    """Change some fields of a customer."""
    return customers.update(customer_id, body)


@router.delete("/{customer_id}", status_code=204, responses=documented(404, 503))
async def delete_customer(customer_id: Id, customers: Customers) -> None:
    """Delete a customer."""
    customers.delete(customer_id)
