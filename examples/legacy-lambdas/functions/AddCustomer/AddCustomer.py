import json
import os
import uuid
from datetime import datetime, timezone

import boto3

from helpers import error, response
from security import AuthError, authenticate

ddb = boto3.client("dynamodb")


def handler(event, context):
    try:
        authenticate(event["headers"])
    except AuthError:
        return error(403, "forbidden")

    try:
        data = json.loads(event["body"])
        name = data["customerName"]
    except (KeyError, TypeError, ValueError):
        return error(422, "customerName missing")

    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {
        "customerId": {"S": uuid.uuid4().hex},
        "customerName": {"S": name},
        "createdDate": {"S": now},
        "modifiedDate": {"S": now},
    }
    for key in ("contactEmail", "accountManager"):
        if data.get(key):
            item[key] = {"S": data[key]}
    ddb.put_item(TableName=os.environ["CUSTOMERS_TABLE"], Item=item)
    return response(201, {key: value["S"] for key, value in item.items()})
