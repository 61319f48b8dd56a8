"""A change is meant for what its caller has seen, and is refused when that has changed since."""

from functools import partial

import pytest
from fastapi.testclient import TestClient

from tests.service.domains import ROUNDS, SCOPES, AsCaller, Domain, at_once, created, jwt, path_of, statuses


@pytest.fixture
def strict(as_caller: AsCaller) -> TestClient:
    """Return the client of a caller who says nothing of what a change is meant for."""
    return as_caller(jwt(SCOPES))


def test_each_revision_has_a_strong_tag_of_its_own(strict: TestClient, domain: Domain) -> None:
    response = strict.post(domain.path, json=domain.whole)
    path, tags = response.headers["location"], [response.headers["etag"]]
    for method, body in (("PUT", domain.other), ("PATCH", {}), ("PATCH", {"name": "New"})):
        response = strict.request(method, path, json=body, headers={"if-match": tags[-1]})
        assert response.status_code == 200
        tags.append(response.headers["etag"])
        assert strict.get(path).headers["etag"] == tags[-1]
    assert len(set(tags)) == 4
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_must_say_what_it_is_meant_for(strict: TestClient, domain: Domain, method: str) -> None:
    thing = created(strict, domain)
    body = None if method == "DELETE" else domain.other
    response = strict.request(method, path_of(domain, thing), json=body)
    assert response.status_code == 428
    assert response.headers["content-type"] == "application/problem+json"
    assert "If-Match" in response.json()["detail"]
    assert strict.get(path_of(domain, thing)).json() == thing


@pytest.mark.parametrize("tag", ['"0"', '"2"', 'W/"1"', "1", "", '"1', "x, y", '"*"'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_change_meant_for_another_revision_is_refused(
    strict: TestClient, domain: Domain, method: str, tag: str
) -> None:
    thing = created(strict, domain)
    body = None if method == "DELETE" else domain.other
    response = strict.request(method, path_of(domain, thing), json=body, headers={"if-match": tag})
    assert response.status_code == 412
    assert '"1"' in response.json()["detail"]
    assert strict.get(path_of(domain, thing)).json() == thing


@pytest.mark.parametrize("tag", ["*", '"1"', '"0", "1"', 'W/"1" , "1"'])
def test_a_change_meant_for_this_revision_is_made(strict: TestClient, domain: Domain, tag: str) -> None:
    path = path_of(domain, created(strict, domain))
    assert strict.patch(path, json={"name": "New"}, headers={"if-match": tag}).status_code == 200


@pytest.mark.parametrize(("tag", "status"), [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"0"', 200), ("1", 200)])
def test_what_the_caller_has_is_not_sent_again(strict: TestClient, domain: Domain, tag: str, status: int) -> None:
    path = path_of(domain, created(strict, domain))
    response = strict.get(path, headers={"if-none-match": tag})
    assert response.status_code == status
    assert response.headers["etag"] == '"1"'
    assert (response.content == b"") is (status == 304)


def test_of_updates_of_one_revision_at_once_one_succeeds(strict: TestClient, domain: Domain) -> None:
    path = path_of(domain, created(strict, domain))
    for number in range(ROUNDS):
        headers = {"if-match": strict.get(path).headers["etag"]}
        names = [f"{number} {letter}" for letter in "abc"]
        answers = at_once(*(partial(strict.patch, path, json={"name": name}, headers=headers) for name in names))
        assert statuses(*answers) == [200, 412, 412]
        (won,) = [name for name, answer in zip(names, answers, strict=True) if answer.status_code == 200]
        assert strict.get(path).json()["name"] == won
