"""Users and customers for `make dev`, so that lists, filters and pages are not empty.

They are created through the API, and only in an empty table: a second start adds nothing.
For your own resource, add a list here and a line in `seed`.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from starlette.testclient import TestClient

from sandbox import gateway

Body = dict[str, Any]
USERS: list[Body] = [
    {"email": "amelia.okafor@example.com", "name": "Amelia Okafor"},
    {"email": "bjorn.lindqvist@example.com", "name": "Björn Lindqvist"},
    {"email": "chiara.rossi@example.com", "name": "Chiara Rossi"},
    {"email": "daniel.nguyen@example.com", "name": "Daniel Nguyễn"},
    {"email": "elif.sahin@example.com", "name": "Elif Şahin"},
    {"email": "fatima.haddad@example.com", "name": "Fatima Haddad"},
]
# `owner` is the e-mail address of the user who owns the customer; the API takes that user's id.
CUSTOMERS: list[Body] = [
    {"name": "Alpine Outfitters", "contact": "orders@alpine.example", "owner": "amelia.okafor@example.com"},
    {"name": "Bakkerij De Molen", "contact": "info@demolen.example", "owner": "amelia.okafor@example.com"},
    {"name": "Cedar & Sons Joinery", "contact": "office@cedar.example", "owner": "bjorn.lindqvist@example.com"},
    {"name": "Delta Freight", "contact": "dispatch@delta.example", "owner": "bjorn.lindqvist@example.com"},
    {"name": "Delta Freight Spain", "contact": "dispatch@delta.example", "owner": "chiara.rossi@example.com"},
    {"name": "Encina Vineyards", "contact": "hola@encina.example", "owner": "chiara.rossi@example.com"},
    {"name": "Fjord Ferries", "contact": "post@fjord.example", "owner": "daniel.nguyen@example.com"},
    {"name": "Glasgow Bicycle Works", "contact": "shop@gbw.example", "owner": "daniel.nguyen@example.com"},
    {"name": "Harbour Books", "contact": "hello@harbour.example", "owner": "elif.sahin@example.com"},
    {"name": "Imkerei Sonnenfeld", "contact": "honig@sonnenfeld.example"},
    {"name": "Jardins de Provence"},
    {"name": "Kestrel Drones"},
]


def seed(client: TestClient) -> int:
    """Create all of them if there are no users and customers, and return how many were created.

    RuntimeError has the first error response.
    """
    if any(_send(client, "GET", path)["items"] for path in ("/users", "/customers")):
        return 0
    ids = {body["email"]: _send(client, "POST", "/users", body)["id"] for body in USERS}
    for body in CUSTOMERS:
        owner = {"owner_id": ids[body["owner"]]} if "owner" in body else {}
        _send(client, "POST", "/customers", {name: body[name] for name in body if name != "owner"} | owner)
    return len(USERS) + len(CUSTOMERS)


def _send(client: TestClient, method: str, path: str, body: Body | None = None) -> Body:
    response = client.request(method, path, json=body)
    if response.is_error:
        sent = f" of {body}" if body else ""
        raise RuntimeError(f"{method} {path}{sent}: {response.status_code} {response.text}")
    parsed: Body = response.json()
    return parsed


def main() -> int:
    """Seed the table in the environment through the service and its authorizer, with SANDBOX_TOKEN."""
    with redirect_stdout(io.StringIO()) as log:  # the application binds its log to stdout here
        app = gateway.create()
    client = TestClient(app, headers={"authorization": f"Bearer {os.environ['SANDBOX_TOKEN']}"})
    try:
        created = seed(client)
    except RuntimeError as error:
        print(f"{log.getvalue()}the service rejects the data in sandbox/seed.py: {error}", file=sys.stderr)
        return 1
    if created:
        print(f"Created {created} users and customers in the empty table (sandbox/seed.py).", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
