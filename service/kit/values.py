"""Storage of JSON values in DynamoDB without loss.

A value is stored as DynamoDB's own type if possible. Otherwise (a number with more than 38 digits, a very large or small one, an
object with an empty key, more than 32 levels) it is stored as JSON text in a binary attribute, which no other value uses.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer

Item = dict[str, Any]
"""An item as JSON values by attribute name."""

# boto3's Table would convert by itself, but slows down calls and cold starts.
_SERIALIZER, _DESERIALIZER = TypeSerializer(), TypeDeserializer()
# DynamoDB keeps 38 digits. From 2**53 on, a float is not the whole number that its shortest decimal form is.
LARGEST_INT, LARGEST_FLOAT, SMALLEST_FLOAT = 10**38, 2**53, 1e-115
# DynamoDB's limit is 32: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
DEEPEST = 30


def serialize(item: Mapping[str, Any]) -> Item:
    """Return an item's JSON values as DynamoDB's attribute values ({"S": …}, {"N": …}, …)."""
    return {name: _SERIALIZER.serialize(_storable(value, 1)) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return DynamoDB's attribute values as JSON values."""
    return {name: _restored(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST_INT else _text(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if value == 0 or SMALLEST_FLOAT <= abs(value) < LARGEST_FLOAT else _text(value)
    if isinstance(value, dict):
        if depth > DEEPEST or "" in value:
            return _text(value)
        return {name: _storable(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return _text(value) if depth > DEEPEST else [_storable(each, depth + 1) for each in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _restored(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_restored(each) for each in value]
    return json.loads(value.value) if isinstance(value, Binary) else value  # type: ignore[attr-defined]


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()
