"""Features beyond the six operations: custom operations, lookups, hooks, owners, `commit`."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

import service.app
from service.app import add
from service.customers.models import CustomerCreate
from service.customers.routes import CUSTOMERS as CUSTOMER
from service.kit.auth import Principal
from service.kit.crud import repository, router_of
from service.kit.errors import Conflict
from service.kit.idempotency import Idempotency
from service.kit.models import Body, Id, Name, Stored, unset
from service.kit.parameters import IdempotencyKey
from service.kit.repository import Repository, commit
from service.kit.resource import UNRESTRICTED, Lookup, Owner, Resource
from service.users.models import UserCreate
from service.users.routes import USERS as USER
from tests.service.domains import ROUNDS, AsCaller, concurrently, statuses

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

State = Literal["open", "cancelled"]
SCOPES = "tickets:read tickets:write customers:write users:write"


class TicketCreate(Body):
    title: Name
    customer_id: Id


class TicketUpdate(Body):
    title: Name = unset()


class TicketPublic(Stored):
    title: str
    customer_id: Id
    state: State


def only_open(old: TicketPublic | None, new: TicketPublic | None) -> None:
    if old and old.state == "cancelled":
        raise Conflict("The ticket is cancelled.")


TICKETS = Resource(
    "ticket",
    TicketPublic,
    TicketCreate,
    TicketUpdate,
    operations=["create", "list", "read", "update"],
    lookups=[Lookup("customer_id", order="newest"), Lookup("state")],
    references={"customer_id": "customer"},
    initial={"state": "open"},
    before_change=only_open,
)


def ticket_router() -> Any:
    router = router_of(TICKETS)

    @router.post("/{ticket_id}/cancel", response_model=TicketPublic)
    async def cancel_ticket(
        tickets: Annotated[Repository[TicketPublic], repository(TICKETS, "write")],
        ticket_id: Id,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> TicketPublic:
        idempotency = Idempotency.of(idempotency_key, f"cancel_ticket {ticket_id}")
        ticket = tickets.change(ticket_id, lambda _: {"state": "cancelled"}, idempotency=idempotency)
        response.headers["etag"] = ticket.etag
        return ticket

    return router


@pytest.fixture
def tickets(app: FastAPI, as_caller: AsCaller) -> TestClient:
    add(app, ticket_router())
    client = as_caller({"jwt": {"claims": {"sub": "ada", "scope": SCOPES}}})
    client.headers["if-match"] = "*"
    return client


@pytest.fixture
def repositories(table: "Table") -> Callable[..., Any]:
    """Return a factory of repositories for a resource and a caller with these claims."""

    def make(resource: Resource[Any], **claims: Any) -> Repository[Any]:
        return Repository(resource, service.app.table(), Principal(claims.pop("sub", "ada"), None, claims))

    return make


def create_customer(client: TestClient) -> str:
    customer_id: str = client.post("/customers", json={"name": "Analytical Engines"}).json()["id"]
    return customer_id


def create_ticket(client: TestClient, customer_id: str, title: str = "Broken") -> dict[str, Any]:
    response = client.post("/tickets", json={"title": title, "customer_id": customer_id})
    assert response.status_code == 201, response.text
    ticket: dict[str, Any] = response.json()
    return ticket


def test_undeclared_operations_are_405(tickets: TestClient) -> None:
    path = f"/tickets/{create_ticket(tickets, create_customer(tickets))['id']}"
    assert tickets.get(path).status_code == 200
    for method in ("PUT", "DELETE"):
        response = tickets.request(method, path, json={} if method == "PUT" else None)
        assert response.status_code == 405
        assert response.headers["allow"].replace(" ", "").split(",") == ["GET", "HEAD", "PATCH"]


def test_initial_field_is_set_and_rejected_in_requests(tickets: TestClient) -> None:
    ticket = create_ticket(tickets, create_customer(tickets))
    assert ticket["state"] == "open"
    body = {"title": "Broken", "customer_id": ticket["customer_id"], "state": "cancelled"}
    assert tickets.post("/tickets", json=body).status_code == 422
    assert tickets.patch(f"/tickets/{ticket['id']}", json={"state": "cancelled"}).status_code == 422


def test_before_change_rejects_a_patch_of_a_cancelled_ticket(tickets: TestClient) -> None:
    path = f"/tickets/{create_ticket(tickets, create_customer(tickets))['id']}"
    assert tickets.patch(path, json={"title": "Still broken"}).status_code == 200
    assert tickets.post(f"{path}/cancel").json()["state"] == "cancelled"
    response = tickets.patch(path, json={"title": "Works"})
    assert (response.status_code, response.json()["detail"]) == (409, "The ticket is cancelled.")
    assert tickets.get(path).json()["title"] == "Still broken"


def test_retried_operation_with_its_idempotency_key_gets_the_first_response(tickets: TestClient) -> None:
    path = f"/tickets/{create_ticket(tickets, create_customer(tickets))['id']}/cancel"
    first = tickets.post(path, headers={"idempotency-key": "k"})
    retry = tickets.post(path, headers={"idempotency-key": "k"})
    assert (retry.status_code, retry.json(), retry.headers["etag"]) == (200, first.json(), first.headers["etag"])
    assert tickets.post(path, headers={"idempotency-key": "l"}).status_code == 409
    assert tickets.post(path).status_code == 409


def test_one_of_concurrent_operations_succeeds(tickets: TestClient) -> None:
    owner = create_customer(tickets)
    for _ in range(ROUNDS):
        path = f"/tickets/{create_ticket(tickets, owner)['id']}/cancel"
        assert statuses(*concurrently(*[partial(tickets.post, path)] * 3)) == [200, 409, 409]


def test_list_by_lookup_is_sorted_and_paginated(tickets: TestClient) -> None:
    one, other = create_customer(tickets), create_customer(tickets)
    ids = [create_ticket(tickets, one)["id"] for _ in range(5)]
    create_ticket(tickets, other)
    found, url = [], f"/tickets?customer_id={one}&limit=2"
    while url:
        page = tickets.get(url)
        found += [ticket["id"] for ticket in page.json()["items"]]
        url = page.links["next"]["url"] if page.links else ""
        url = url and f"/tickets{url}"
    assert found == ids[::-1]


def test_two_filters_are_combined(tickets: TestClient) -> None:
    one, other = create_customer(tickets), create_customer(tickets)
    ids = [create_ticket(tickets, owner)["id"] for owner in (one, one, one, other)]
    tickets.post(f"/tickets/{ids[1]}/cancel")
    parameters: dict[str, str | int] = {"customer_id": one, "state": "open", "limit": 1}
    first = tickets.get("/tickets", params=parameters).json()
    second = tickets.get("/tickets", params=parameters | {"cursor": first["next_cursor"]}).json()
    assert [ticket["id"] for ticket in first["items"] + second["items"]] == [ids[2], ids[0]]
    assert [ticket["id"] for ticket in tickets.get("/tickets?state=cancelled").json()["items"]] == [ids[1]]
    assert tickets.get("/tickets?state=lost").status_code == 422


def test_cursor_of_another_list_is_400(tickets: TestClient) -> None:
    one, other = create_customer(tickets), create_customer(tickets)
    for _ in range(2):
        create_ticket(tickets, one)
    cursor = tickets.get(f"/tickets?customer_id={one}&limit=1").json()["next_cursor"]
    for path in ("/tickets?", f"/tickets?customer_id={other}&", "/tickets?state=open&"):
        assert tickets.get(f"{path}cursor={cursor}").status_code == 400


def test_change_of_an_unknown_field_raises_and_writes_nothing(repositories: Any, table: "Table") -> None:
    owner = repositories(CUSTOMER).create(CustomerCreate(name="Engines"))
    ticket = repositories(TICKETS).create(TicketCreate(title="Broken", customer_id=owner.id))
    before = table.scan()["Items"]
    for fields in ({"sate": "cancelled"}, {"id": "0" * 32}, {"revision": 9}):
        with pytest.raises(ValueError, match="does not have"):
            repositories(TICKETS).change(ticket.id, lambda _, fields=fields: fields)
    assert table.scan()["Items"] == before


def test_commit_writes_all_items_or_none(repositories: Any, table: "Table") -> None:
    users, customers = repositories(USER), repositories(CUSTOMER)
    ada = UserCreate(email="ada@example.com", name="Ada")
    user, customer = commit(users.creating(ada), customers.creating(CustomerCreate(name="Engines")))
    assert users.get(user.id) == user
    assert customers.get(customer.id) == customer
    before = table.scan()["Items"]
    with pytest.raises(Conflict, match=r"ada@example\.com"):
        commit(customers.creating(CustomerCreate(name="Second")), users.creating(ada))
    assert table.scan()["Items"] == before


def test_commit_adds_up_reference_counts(repositories: Any, table: "Table") -> None:
    users, customers = repositories(USER), repositories(CUSTOMER)
    user = users.create(UserCreate(email="ada@example.com", name="Ada"))
    created = commit(*(customers.creating(CustomerCreate(name=name, owner_id=user.id)) for name in "abc"))
    with pytest.raises(Conflict):
        users.delete(user.id)
    commit(*(customers.deleting(item.id) for item in created[:2]))
    with pytest.raises(Conflict):
        users.delete(user.id)
    customers.delete(created[2].id)
    users.delete(user.id)
    assert table.scan()["Items"] == []


def test_commit_rejects_a_reference_to_an_item_that_it_deletes(repositories: Any, table: "Table") -> None:
    users, customers = repositories(USER), repositories(CUSTOMER)
    user = users.create(UserCreate(email="ada@example.com", name="Ada"))
    before = table.scan()["Items"]
    with pytest.raises((Conflict, ValueError)):
        commit(users.deleting(user.id), customers.creating(CustomerCreate(name="Engines", owner_id=user.id)))
    assert table.scan()["Items"] == before


def test_commit_rejects_more_than_100_items(repositories: Any, table: "Table") -> None:
    customers = repositories(CUSTOMER)
    with pytest.raises(ValueError, match="at most 100 items"):
        commit(*(customers.creating(CustomerCreate(name=f"{n}")) for n in range(101)))
    assert table.scan()["Items"] == []


def test_retried_commit_returns_all_items(repositories: Any) -> None:
    users, customers = repositories(USER), repositories(CUSTOMER)
    ada = UserCreate(email="ada@example.com", name="Ada")
    key = Idempotency("k", "sign_up", ada)

    def sign_up() -> list[Any]:
        return commit(users.creating(ada), customers.creating(CustomerCreate(name="Ada")), idempotency=key)

    assert sign_up() == sign_up()
    assert len(customers.page(10).items) == 1


class NoteCreate(Body):
    text: Name


class NotePublic(Stored):
    text: str
    tenant: str


NOTES = Resource(
    "note",
    NotePublic,
    NoteCreate,
    NoteCreate,
    owner=Owner("tenant", lambda caller: UNRESTRICTED if caller.scopes is None else caller.claims.get("tenant")),
)


@pytest.fixture
def notes(app: FastAPI, as_caller: AsCaller) -> Callable[[str | None], TestClient]:
    add(app, router_of(NOTES))

    def client(tenant: str | None) -> TestClient:
        claims = {"sub": f"somebody of {tenant}", "scope": "notes:read notes:write"}
        caller = as_caller({"jwt": {"claims": claims | ({"tenant": tenant} if tenant else {})}})
        caller.headers["if-match"] = "*"
        return caller

    return client


def test_tenant_only_sees_and_changes_its_own_items(notes: Callable[[str | None], TestClient]) -> None:
    red, blue = notes("red"), notes("blue")
    note = red.post("/notes", json={"text": "Ours"}).json()
    blue.post("/notes", json={"text": "Theirs"})
    assert note["tenant"] == "red"
    path = f"/notes/{note['id']}"
    for response in (
        blue.get(path),
        blue.put(path, json={"text": "X"}),
        blue.patch(path, json={"text": "X"}),
        blue.delete(path),
    ):
        assert response.status_code == 404
        assert response.json()["detail"] == f"There is no note {note['id']}."
    assert [note["tenant"] for note in blue.get("/notes").json()["items"]] == ["blue"]
    assert red.patch(path, json={"text": "New"}).json()["text"] == "New"
    assert "Theirs" not in red.get("/notes", params={"tenant": "blue"}).text
    assert red.delete(path).status_code == 204


def test_caller_without_a_tenant_is_403(notes: Callable[[str | None], TestClient]) -> None:
    client = notes(None)
    assert client.get("/notes").status_code == 403
    assert client.post("/notes", json={"text": "X"}).status_code == 403


def test_unrestricted_caller_sees_items_of_every_tenant(
    notes: Callable[[str | None], TestClient], as_caller: AsCaller
) -> None:
    for tenant in ("red", "blue"):
        notes(tenant).post("/notes", json={"text": "X"})
    operator = as_caller({"iam": {"userArn": "arn:aws:iam::123456789012:user/operator"}})
    assert {note["tenant"] for note in operator.get("/notes").json()["items"]} == {"red", "blue"}


def test_page_stays_below_lambdas_response_limit(repositories: Any) -> None:
    class LongPublic(Stored):
        text: str

    class LongCreate(Body):
        text: str

    texts = repositories(Resource("text", LongPublic, LongCreate, LongCreate))
    ids = sorted(texts.create(LongCreate(text="x" * 65_000)).id for _ in range(90))
    first = texts.page(100)
    second = texts.page(100, first.next_cursor)
    assert 4_500_000 < len(first.model_dump_json()) < 5 * 1024 * 1024 + 100_000
    assert [item.id for item in first.items + second.items] == ids
    assert second.next_cursor is None
