"""Invalid declarations raise an error that names the field and the reason when the service is imported."""

from typing import Any

import pytest

from service.kit.models import Body, Email, Name, Stored
from service.kit.resource import Lookup, Owner, Resource, together


def model(base: type[Any], **fields: Any) -> type[Any]:
    return type("Model", (base,), {"__annotations__": fields})


def declare(name: str = "gadget", fields: dict[str, Any] | None = None, **options: Any) -> Resource[Any]:
    fields = fields or {"name": Name}
    public = options.pop("public", model(Stored, **fields))
    create = options.pop("create", model(Body, **fields))
    return Resource(name, public, create, create, **options)


@pytest.mark.parametrize("name", ["line-item", "User", "", "user email", "2nd", "a__b", "user_", "n\u00e4me", "user/x"])
def test_invalid_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters, digits and single underscores"):
        declare(name, plural="gadgets")


@pytest.mark.parametrize("name", ["category", "status", "box", "match", "wish"])
def test_irregular_plural_is_required(name: str) -> None:
    with pytest.raises(ValueError, match="Give `plural`"):
        declare(name)
    assert declare(name, plural="gadgets").plural == "gadgets"


def test_plural_may_contain_a_hyphen() -> None:
    assert declare("line_item", plural="line-items").plural == "line-items"
    assert declare("line_item").plural == "line_items"


@pytest.mark.parametrize("plural", ["Gadgets", "a/b", "a b", "-a", "a?"])
def test_plural_that_is_not_a_path_is_rejected(plural: str) -> None:
    with pytest.raises(ValueError, match="a path and a scope"):
        declare(plural=plural)


@pytest.mark.parametrize("name", ["idempotency", "readiness"])
def test_reserved_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="items of its own"):
        declare(name, plural="gadgets")


@pytest.mark.parametrize("name", ["pk", "sk", "expires_at", "revision", "entries"])
def test_reserved_field_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=rf"create\.{name}: the kit has an attribute"):
        declare(fields={name: str})


@pytest.mark.parametrize("name", ["id", "created_at", "updated_by"])
def test_generated_field_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=rf"create\.{name}: the kit sets this field"):
        declare(fields={name: str})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"operations": ["list", "fly"]}, r"unknown operations \['fly'\]; there are create, list,"),
        ({"lookups": [Lookup("color")]}, r"lookups names fields that public lacks: \['color'\]"),
        ({"lookups": [Lookup("name"), Lookup("name", unique=True)]}, "a field has one lookup"),
        ({"references": {"owner_id": "user"}}, r"references names fields that public lacks: \['owner_id'\]"),
        ({"references": {"name": "gadget"}}, "a kind cannot refer to itself"),
        ({"initial": {"name": "x"}}, r"initial sets what requests may set: \['name'\]"),
        ({"initial": {"state": "x"}}, r"initial names fields that public lacks: \['state'\]"),
        ({"owner": Owner("tenant", str)}, r"lookups names fields that public lacks: \['tenant'\]"),
        ({"owner": Owner("name", str)}, "requests may not set 'name'"),
        ({"create": None}, "the operation create needs the model `create`"),
        ({"public": model(Stored, name=Name, state=str)}, r"public requires what nothing sets: \['state'\]"),
    ],
)
def test_inconsistent_declaration_is_rejected(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^Resource 'gadget': .*{reason}"):
        declare(**options)


@pytest.mark.parametrize("kind", [list[str], dict[str, int], float, Any, Stored])
def test_lookup_of_a_composite_value_is_rejected(kind: Any) -> None:
    with pytest.raises(ValueError, match="lookups: value is not a single value"):
        declare(fields={"value": kind}, lookups=[Lookup("value")])


@pytest.mark.parametrize("kind", [int, str, bool, Email, int | None])
def test_lookup_of_a_single_value_is_accepted(kind: Any) -> None:
    assert declare(fields={"value": kind}, lookups=[Lookup("value")]).lookups == [Lookup("value")]


def test_update_field_missing_from_create_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"update has fields that create lacks: \['other'\]"):
        Resource("gadget", model(Stored, name=Name), model(Body, name=Name), model(Body, name=Name, other=Name))


def test_duplicate_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="Resource 'gadget': another one has this name"):
        together([declare(), declare()])


def test_reference_to_an_unknown_resource_is_rejected() -> None:
    with pytest.raises(ValueError, match="owner_id refers to 'usr', which no resource is"):
        together([declare(fields={"owner_id": str}, references={"owner_id": "usr"})])
