import json
import os
from datetime import datetime, timezone

import boto3

from helpers import error, response
from security import AuthError, authenticate

ddb = boto3.client("dynamodb")
TABLE = os.environ["CUSTOMERS_TABLE"]


def handler(event, context):
    try:
        authenticate(event["headers"])
    except AuthError:
        return error(403, "forbidden")

    try:
        data = json.loads(event["body"])
    except (TypeError, ValueError):
        return error(422, "invalid body")

    # Reads and writes the whole item: of two updates at once, one is lost. A missing customer is created.
    key = {"customerId": {"S": event["pathParameters"]["customerId"]}}
    item = ddb.get_item(TableName=TABLE, Key=key).get("Item", dict(key))
    for name in ("customerName", "contactEmail", "accountManager"):
        if name in data:
            item[name] = {"S": data[name]}
    item["modifiedDate"] = {"S": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
    ddb.put_item(TableName=TABLE, Item=item)
    return response(200, {name: value["S"] for name, value in item.items()})
