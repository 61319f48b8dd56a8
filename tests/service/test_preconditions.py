"""Conditional requests (RFC 9110, section 13)."""

from functools import partial

import pytest
from fastapi.testclient import TestClient

from tests.service.domains import (
    ROUNDS,
    SCOPES,
    UNKNOWN_ID,
    AsCaller,
    Domain,
    concurrently,
    create_item,
    item_path,
    jwt,
    statuses,
)


@pytest.fixture
def strict(as_caller: AsCaller) -> TestClient:
    """Return a client that sends no precondition by default."""
    return as_caller(jwt(SCOPES))


def test_each_revision_has_its_own_strong_etag(strict: TestClient, domain: Domain) -> None:
    response = strict.post(domain.path, json=domain.body)
    path, tags = response.headers["location"], [response.headers["etag"]]
    for method, body in (("PUT", domain.other_body), ("PATCH", {}), ("PATCH", {"name": "New"})):
        response = strict.request(method, path, json=body, headers={"if-match": tags[-1]})
        assert response.status_code == 200
        tags.append(response.headers["etag"])
        assert strict.get(path).headers["etag"] == tags[-1]
    assert len(set(tags)) == 4
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_change_without_if_match_is_428(strict: TestClient, domain: Domain, method: str) -> None:
    item = create_item(strict, domain)
    body = None if method == "DELETE" else domain.other_body
    response = strict.request(method, item_path(domain, item), json=body)
    assert response.status_code == 428
    assert response.headers["content-type"] == "application/problem+json"
    assert "If-Match" in response.json()["detail"]
    assert strict.get(item_path(domain, item)).json() == item


@pytest.mark.parametrize("tag", ['"0"', '"2"', 'W/"1"', '"*"', '"0", "2"', '"0",, "2",'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_without_the_current_etag_is_412(strict: TestClient, domain: Domain, method: str, tag: str) -> None:
    item = create_item(strict, domain)
    body = None if method == "DELETE" else domain.other_body
    response = strict.request(method, item_path(domain, item), json=body, headers={"if-match": tag})
    assert response.status_code == 412
    assert '"1"' in response.json()["detail"]
    assert strict.get(item_path(domain, item)).json() == item


@pytest.mark.parametrize("tag", ["1", "", '"1', "x, y", 'foo"1"bar', 'w/"1"', '"1" *', '*, "1"', '"1" "2"', ","])
@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_malformed_entity_tags_are_400(strict: TestClient, domain: Domain, method: str, header: str, tag: str) -> None:
    item = create_item(strict, domain)
    body = domain.other_body if method in {"PUT", "PATCH"} else None
    headers = {"if-match": "*"} if method != "GET" else {}
    response = strict.request(method, item_path(domain, item), json=body, headers=headers | {header: tag})
    assert response.status_code == 400
    assert response.json()["detail"].lower().startswith(f"{header} must be")
    assert strict.get(item_path(domain, item)).json() == item


@pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ("*", 200), ('"0"', 412), ('W/"1"', 412)])
def test_if_match_of_a_get_is_evaluated(strict: TestClient, domain: Domain, tag: str, status: int) -> None:
    path = item_path(domain, create_item(strict, domain))
    assert strict.get(path, headers={"if-match": tag}).status_code == status
    assert strict.head(path, headers={"if-match": tag}).status_code == status


@pytest.mark.parametrize(("tag", "status"), [("*", 412), ('"1"', 412), ('W/"1"', 412), ('"0"', 200)])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_none_match_of_a_change_is_evaluated(
    strict: TestClient, domain: Domain, method: str, tag: str, status: int
) -> None:
    path = item_path(domain, create_item(strict, domain))
    body = None if method == "DELETE" else domain.other_body
    response = strict.request(method, path, json=body, headers={"if-match": "*", "if-none-match": tag})
    assert response.status_code == (204 if method == "DELETE" and status == 200 else status)


def test_if_match_is_evaluated_before_if_none_match(strict: TestClient, domain: Domain) -> None:
    path = item_path(domain, create_item(strict, domain))
    assert strict.get(path, headers={"if-match": '"0"', "if-none-match": '"1"'}).status_code == 412


def test_preconditions_of_an_unknown_id_are_404(strict: TestClient, domain: Domain) -> None:
    path = f"{domain.path}/{UNKNOWN_ID}"
    assert strict.get(path, headers={"if-match": '"1"'}).status_code == 404
    assert strict.delete(path, headers={"if-match": "*"}).status_code == 404


@pytest.mark.parametrize("tag", ["*", '"1"', '"0", "1"', 'W/"1" , "1"'])
def test_if_match_with_the_current_etag_allows_a_change(strict: TestClient, domain: Domain, tag: str) -> None:
    path = item_path(domain, create_item(strict, domain))
    assert strict.patch(path, json={"name": "New"}, headers={"if-match": tag}).status_code == 200


@pytest.mark.parametrize(("tag", "status"), [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"0"', 200)])
def test_if_none_match_returns_304(strict: TestClient, domain: Domain, tag: str, status: int) -> None:
    path = item_path(domain, create_item(strict, domain))
    response = strict.get(path, headers={"if-none-match": tag})
    assert response.status_code == status
    assert response.headers["etag"] == '"1"'
    assert (response.content == b"") is (status == 304)


def test_one_of_concurrent_updates_with_one_etag_succeeds(strict: TestClient, domain: Domain) -> None:
    path = item_path(domain, create_item(strict, domain))
    for number in range(ROUNDS):
        headers = {"if-match": strict.get(path).headers["etag"]}
        names = [f"{number} {letter}" for letter in "abc"]
        responses = concurrently(*(partial(strict.patch, path, json={"name": name}, headers=headers) for name in names))
        assert statuses(*responses) == [200, 412, 412]
        (winner,) = [name for name, response in zip(names, responses, strict=True) if response.status_code == 200]
        assert strict.get(path).json()["name"] == winner
