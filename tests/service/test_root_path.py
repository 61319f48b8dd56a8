"""The API below a path of its custom domain: API Gateway removes the path from the event, and clients expect it in links."""

import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.service.test_handler import ADA, event

pytestmark = pytest.mark.usefixtures("below_people")
CUSTOM = {"apiId": "a1b2c3d4e5", "domainName": "api.example.com"}
DEFAULT = {"apiId": "a1b2c3d4e5", "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"}


@pytest.fixture
def below_people(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the root path before the handler is imported: the fixture `main` comes later."""
    monkeypatch.setenv("ROOT_PATH", "/people")
    return iter(())


def request(main: ModuleType, method: str, path: str, body: str | None = None, domain: dict[str, str] = CUSTOM) -> Any:
    sent = event(method, path, body)
    sent["requestContext"] |= domain
    return main.handler(sent, None)


@pytest.mark.parametrize(
    ("domain", "root"), [(CUSTOM, "/people"), (DEFAULT, "")], ids=["custom domain", "default endpoint"]
)
def test_links_contain_the_root_path_of_the_domain(main: ModuleType, domain: dict[str, str], root: str) -> None:
    created = request(main, "POST", "/users", ADA, domain)
    assert created["statusCode"] == 201
    identity = json.loads(created["body"])["id"]
    assert created["headers"]["location"] == f"{root}/users/{identity}"
    assert request(main, "GET", f"/users/{identity}", domain=domain)["statusCode"] == 200
    missing = json.loads(request(main, "GET", "/nothing", domain=domain)["body"])
    assert missing["instance"] == f"{root}/nothing"
    servers = json.loads(request(main, "GET", "/openapi.json", domain=domain)["body"]).get("servers", [])
    assert [server["url"] for server in servers] == ([root] if root else [])


def test_resource_with_the_name_of_the_root_path_is_served(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # Removing the root path from a path that does not contain it would make this request /nothing.
    response = request(main, "GET", "/people/nothing")
    assert json.loads(response["body"])["instance"] == "/people/people/nothing"


def test_method_not_allowed_lists_the_methods_of_the_path(main: ModuleType) -> None:
    response = request(main, "DELETE", "/users")
    assert response["statusCode"] == 405
    assert response["headers"]["allow"] == "GET, HEAD, POST"


def test_documentation_refers_to_files_below_its_own_path(main: ModuleType) -> None:
    page = request(main, "GET", "/docs")["body"]
    referred = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url: '([^']+)'", page)
    assert len(referred) == 4
    for reference in referred:
        assert not reference.startswith(("/", "http")), f"{reference} would leave the root path"
        assert request(main, "GET", f"/{reference}")["statusCode"] == 200


@pytest.mark.parametrize("path", ["people", "/people/", "/a b", "/"])
def test_invalid_root_path_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("ROOT_PATH", path)
    with pytest.raises(ValidationError, match="root_path"):
        Settings(table_name="people")
