"""Every model type is read from DynamoDB as it was written, or rejected when the resource is declared."""

import enum
import math
import uuid
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, HttpUrl, Secret, SecretStr
from typing_extensions import TypedDict

import service.app
from service.kit.auth import Principal
from service.kit.models import Body, Stored
from service.kit.repository import Repository
from service.kit.resource import Resource
from service.kit.values import deserialize, serialize

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
CALLER = Principal("ada", scopes=None)


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


class Point(NamedTuple):
    x: float
    y: int


class Address(TypedDict):
    street: str
    number: int


@dataclass
class Size:
    width: Decimal
    unit: Literal["m", "ft"]


class Part(BaseModel):
    name: str
    added: date


class Fields(BaseModel):
    price: float
    exact: Decimal
    count: int
    flag: bool
    day: date
    moment: datetime
    hour: time
    span: timedelta
    key: uuid.UUID
    url: HttpUrl
    address: IPv4Address
    blob: Base64Bytes
    colour: Colour
    colours: set[Colour]
    numbers: frozenset[int]
    pair: tuple[int, str]
    point: Point
    home: Address
    size: Size
    parts: list[Part]
    weights: dict[str, float]
    by_day: dict[date, int]
    maybe: float | None
    anything: Any


class SampleCreate(Body, Fields):
    pass


class SamplePublic(Stored, Fields):
    pass


def finite(low: float = -1e300, high: float = 1e300) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
SAMPLES: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    price=finite() | st.sampled_from([0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e38, 1e-130]),
    exact=st.decimals(allow_nan=False, allow_infinity=False),
    count=st.integers() | st.sampled_from([10**38 - 1, 10**38, -(10**38)]),
    flag=st.booleans(),
    day=st.dates(),
    moment=MOMENTS,
    hour=st.times(),
    span=st.timedeltas(timedelta(days=-9000), timedelta(days=9000)),
    key=st.uuids(),
    url=st.sampled_from(["https://example.com/", "http://example.com:8080/a?b=c"]),
    address=st.ip_addresses(v=4),
    blob=st.binary(max_size=30).map(b64encode),
    colour=st.sampled_from(Colour),
    colours=st.sets(st.sampled_from(Colour)),
    numbers=st.frozensets(st.integers()),
    pair=st.tuples(st.integers(), TEXT),
    point=st.builds(Point, finite(), st.integers()),
    home=st.fixed_dictionaries({"street": TEXT, "number": st.integers()}),
    size=st.builds(Size, st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["m", "ft"])),
    parts=st.lists(st.builds(dict, name=TEXT, added=st.dates()), max_size=3),
    weights=st.dictionaries(TEXT, finite(), max_size=3),
    by_day=st.dictionaries(st.dates(), st.integers(), max_size=3),
    maybe=st.none() | finite(),
    anything=JSON,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXT.filter(bool), JSON))
def test_json_values_round_trip(item: dict[str, Any]) -> None:
    assert deserialize(serialize(item)) == item


@pytest.mark.parametrize("number", [10**38 - 1, 10**38, 1e38, 1e37, 5e-324, 1e-115, 1e-116, 0.1 + 0.2, -0.0, 2**63])
def test_numbers_round_trip_at_dynamodbs_limits(number: float) -> None:
    (value,) = deserialize(serialize({"n": number})).values()
    assert value == number


def test_deeply_nested_values_round_trip() -> None:
    value: Any = "leaf"
    for _ in range(60):
        value = [{"a": value}]
    assert deserialize(serialize({"n": value})) == {"n": value}


@pytest.fixture
def samples(table: "Table") -> Repository[SamplePublic]:
    return Repository(Resource("sample", SamplePublic, SampleCreate, SampleCreate), service.app.table(), CALLER)


def test_every_model_type_round_trips_through_dynamodb(samples: Repository[SamplePublic]) -> None:
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(SAMPLES, SAMPLES)
    def round_trip(first: dict[str, Any], second: dict[str, Any]) -> None:
        bodies = [SampleCreate.model_validate(sample) for sample in (first, second)]
        created = samples.create(bodies[0])
        assert fields_of(samples.get(created.id)) == fields_of(created) == fields_of(bodies[0])
        changed = samples.change(created.id, lambda _: fields_of(bodies[1]))
        assert fields_of(samples.get(created.id)) == fields_of(changed) == fields_of(bodies[1])

    round_trip()


def fields_of(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in Fields.model_fields}


class Opaque:
    pass


def declaration_error(annotation: Any) -> str:
    class LostCreate(Body):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lost: annotation

    class LostPublic(Stored):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lost: annotation

    with pytest.raises((TypeError, ValueError)) as error:
        Resource("sample", LostPublic, LostCreate, LostCreate)
    return str(error.value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (bytes, "bytes need not be text"),
        (dict[str, list[bytes | None]], "bytes need not be text"),
        (Annotated[bytes, Field(max_length=3)], "bytes need not be text"),
        (SecretStr, "asterisks"),
        (Secret[int] | None, "asterisks"),
        (Callable[[], int], "no form in JSON"),
        (type[int], "no form in JSON"),
        (Opaque, "no form in JSON"),
        (list[Opaque], "no form in JSON"),
        (complex, "no form in JSON"),
    ],
    ids=str,
)
def test_type_without_a_round_trip_is_rejected_at_declaration(annotation: Any, reason: str) -> None:
    assert reason in declaration_error(annotation)
    assert "create.lost" in declaration_error(annotation)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_non_finite_numbers_are_rejected(number: str) -> None:
    class PriceCreate(Body):
        price: float

    with pytest.raises(ValueError, match="finite"):
        PriceCreate.model_validate({"price": float(number)})
    assert not math.isfinite(float(number))
