"""examples/migrate-from-lambdas/app: the old functions' contract in every phase. tests/e2e/test_move.py compares with the functions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient

from people import main
from people.layout import CUSTOMER
from people.store import Busy, Store
from sandbox.emulator import Emulator
from tests.migration.move_tables import Tables, customer, tables, user

ISSUER = "https://issuer.example"
KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
MISSING = "0" * 32


def token(key: Any = KEY, **claims: Any) -> str:
    return jwt.encode(
        {"iss": ISSUER, "sub": "ada", "exp": time.time() + 600} | claims, key, "RS256", headers={"kid": "1"}
    )


@pytest.fixture(scope="module")
def keys_url() -> Iterator[str]:
    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            public = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
            body = json.dumps({"keys": [public | {"kid": "1", "use": "sig", "alg": "RS256"}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def at(emulator: Emulator) -> Iterator[Tables]:
    with tables(emulator) as made:
        yield made


ClientOf = Callable[..., TestClient]


@pytest.fixture
def client_of(at: Tables, emulator: Emulator, keys_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClientOf]:
    """`client_of(phase)`: a client of the application in a phase, with a token unless one is given."""
    environment = emulator.environment() | {"ISSUER": ISSUER, "KEYS_URL": keys_url, "TABLE_NAME": at.new}
    for name, value in (environment | {"USERS_TABLE": at.users, "CUSTOMERS_TABLE": at.customers}).items():
        monkeypatch.setenv(name, value)

    def clear() -> None:
        for cached in (main.users, main.customers, main.verifier):
            cached.cache_clear()

    def make(phase: str = "old", authorization: str | None = None) -> TestClient:
        monkeypatch.setenv("DATA_PHASE", phase)
        clear()
        bearer = f"Bearer {token()}" if authorization is None else authorization
        headers = {"authorization": bearer} if bearer else {}
        return TestClient(main.app, headers=headers, raise_server_exceptions=False)

    yield make
    clear()


@pytest.mark.parametrize("phase", ["old", "copy", "switched", "new"])
def test_user_is_added_listed_updated_and_deleted(client_of: ClientOf, phase: str) -> None:
    api = client_of(phase)
    added = api.post("/users", json={"userName": "Ada", "emailAddress": "ada@legacy.example"})
    assert (added.status_code, added.json()["message"]) == (201, "User created")
    assert added.headers["access-control-allow-origin"] == "*"
    path = f"/users/{added.json()['userId']}"
    read = api.get(path).json()
    assert read["createdBy"] == "ada"
    assert read["createdAt"].isdigit()  # a number as text, as the old functions return it

    assert api.post("/users", json={"userName": "Eve", "emailAddress": "ada@legacy.example"}).json() == {
        "message": "User already exists"
    }
    updated = api.put(path, json={"userName": "Ada Lovelace"}).json()
    assert (updated["message"], updated["user"]["userName"]) == ("User updated", "Ada Lovelace")
    assert api.get("/users", params={"email": "ada@legacy.example"}).json()["count"] == 1
    assert api.get("/users").json()["users"] == [updated["user"]]
    assert (api.delete(path).json(), api.get(path).status_code) == ({"message": "User deleted"}, 404)


@pytest.mark.parametrize("phase", ["old", "copy", "switched", "new"])
def test_customer_is_added_listed_updated_and_deleted(client_of: ClientOf, phase: str) -> None:
    api = client_of(phase)
    added = api.post("/customers", json={"customerName": "Engines", "contactEmail": ""})
    assert added.status_code == 201
    assert added.json().keys() == {"customerId", "customerName", "createdDate", "modifiedDate"}
    path = f"/customers/{added.json()['customerId']}"
    assert (
        api.put(path, json={"contactEmail": "office@legacy.example"}).json()["contactEmail"] == "office@legacy.example"
    )
    read = api.get(path).json()
    assert read.items() >= {"customerName": "Engines", "contactEmail": "office@legacy.example"}.items()
    assert api.get("/customers").json() == {"customers": [read], "nextToken": None}
    assert (api.delete(path).status_code, api.get(path).json()) == (204, {})


@pytest.mark.parametrize("phase", ["old", "switched"])
def test_lists_have_pages(client_of: ClientOf, at: Tables, phase: str) -> None:
    for number in range(7):
        at.store("copy").write(user(number)["userId"], lambda _, number=number: user(number))  # type: ignore[misc]
        store, item = at.store("copy", CUSTOMER), customer(number, accountManager=f"manager {number % 2}")
        store.write(item["customerId"], lambda _, item=item: item)  # type: ignore[misc]
    api = client_of(phase)
    for path, size, identity, continuation in (
        ("users", "limit", "userId", "lastKey"),
        ("customers", "pageSize", "customerId", "nextToken"),
    ):
        query, seen = {size: "3"}, []
        for _ in range(7):
            page = api.get(f"/{path}", params=query).json()
            seen += page[path]
            if not page.get(continuation):
                break
            query[continuation] = page[continuation]
        assert sorted(item[identity] for item in seen) == [f"{number:032x}" for number in range(7)]
    managed = api.get("/customers", params={"accountManager": "manager 1"}).json()["customers"]
    assert len(managed) == 3


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "response"),
    [
        ("GET", f"/users/{MISSING}", None, 404, {"message": "User not found"}),
        ("PUT", f"/users/{MISSING}", {"userName": "x"}, 404, {"message": "User not found"}),
        ("DELETE", f"/users/{MISSING}", None, 200, {"message": "User deleted"}),
        ("GET", f"/customers/{MISSING}", None, 200, {}),
        ("DELETE", f"/customers/{MISSING}", None, 404, {"error": "no such customer"}),
        ("POST", "/users", "no JSON", 400, {"message": "Invalid JSON"}),
        ("POST", "/users", ["a list"], 400, {"message": "Invalid JSON"}),
        ("PUT", f"/users/{MISSING}", "no JSON", 400, {"message": "Invalid JSON"}),
        ("POST", "/users", {"userName": ""}, 400, {"message": "userName is required"}),
        ("POST", "/users", {"userName": "x", "emailAddress": "x"}, 400, {"message": "emailAddress is invalid"}),
        ("POST", "/users", {"userName": "x", "emailAddress": 1}, 400, {"message": "emailAddress is invalid"}),
        (
            "GET",
            "/users?limit=many",
            None,
            500,
            {"message": "Internal error: invalid literal for int() with base 10: 'many'"},
        ),
        ("POST", "/customers", {}, 422, {"error": "customerName missing"}),
        ("POST", "/customers", "no JSON", 422, {"error": "customerName missing"}),
        ("POST", "/customers", {"customerName": "x", "contactEmail": 1}, 422, {"error": "contactEmail must be a text"}),
        ("PUT", f"/customers/{MISSING}", None, 422, {"error": "invalid body"}),
        ("PUT", f"/customers/{MISSING}", {"customerName": None}, 422, {"error": "customerName must be a text"}),
        ("GET", "/customers?pageSize=many", None, 500, {"message": "Internal Server Error"}),
        ("GET", "/customers?nextToken=x", None, 500, {"message": "Internal Server Error"}),
    ],
)
def test_request_gets_the_old_functions_response(
    client_of: ClientOf, method: str, path: str, body: Any, status: int, response: dict[str, str]
) -> None:
    sent: dict[str, Any] = {"content": body} if isinstance(body, str) else {"json": body} if body is not None else {}
    received = client_of().request(method, path, **sent)
    assert (received.status_code, received.json()) == (status, response)


def test_update_creates_a_missing_customer(client_of: ClientOf) -> None:
    api = client_of("copy")
    created = api.put(f"/customers/{MISSING}", json={"contactEmail": "a@legacy.example"}).json()
    assert created.keys() == {"customerId", "contactEmail", "modifiedDate"}
    assert (
        api.get(f"/customers/{MISSING}").json() == created == client_of("switched").get(f"/customers/{MISSING}").json()
    )


BAD = {
    "none": "",
    "no token": "Bearer",
    "no JWT": "Bearer x.y.z",
    "another key": f"Bearer {token(OTHER_KEY)}",
    "expired": f"Bearer {token(exp=1)}",
    "another issuer": f"Bearer {token(iss='https://other.example')}",
}


@pytest.mark.parametrize("authorization", BAD.values(), ids=list(BAD))
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/users", 401, {"message": "Unauthorized"}), ("/customers", 403, {"error": "forbidden"})],
)
def test_every_operation_requires_a_token(
    client_of: ClientOf, authorization: str, path: str, status: int, body: dict[str, str]
) -> None:
    api = client_of(authorization=authorization)
    for method, each in (("GET", "/1"), ("PUT", "/1"), ("DELETE", "/1"), ("POST", "")):
        response = api.request(method, path + each)
        assert (response.status_code, response.json()) == (status, body), f"{method} {path}{each}"
    assert api.get(path).status_code == status


def test_customers_accept_a_token_without_a_scheme(client_of: ClientOf) -> None:
    assert client_of(authorization=token()).get(f"/customers/{MISSING}").status_code == 200
    assert client_of(authorization=f"bearer {token()}").get(f"/customers/{MISSING}").status_code == 200
    assert client_of(authorization=f"bearer {token()}").get(f"/users/{MISSING}").status_code == 401
    assert client_of(authorization="").get("/customers").json() == {"error": "missing token"}


def test_unreachable_keys_are_no_fault_of_the_token(client_of: ClientOf, monkeypatch: pytest.MonkeyPatch) -> None:
    api = client_of()
    monkeypatch.setenv("KEYS_URL", "http://127.0.0.1:9/keys")
    assert api.get(f"/users/{MISSING}").status_code == 500


def test_gate_refuses_phases_that_read_incomplete_old_tables(client_of: ClientOf) -> None:
    assert [client_of(phase).get("/healthz").status_code for phase in ("old", "copy", "switched", "new")] == [200] * 4
    client_of("new").post("/customers", json={"customerName": "Newer"})
    assert [client_of(phase).get("/healthz").status_code for phase in ("old", "copy", "switched", "new")] == [
        503,
        503,
        200,
        200,
    ]


def test_item_that_never_rests_is_503_with_retry_after(client_of: ClientOf, monkeypatch: pytest.MonkeyPatch) -> None:
    def never_rests(*_: Any) -> None:
        raise Busy

    monkeypatch.setattr(Store, "write", never_rests)
    response = client_of().put(f"/users/{MISSING}", json={"userName": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
