import os

import boto3

from helpers import error, response
from security import AuthError, authenticate

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    if event.get("warmup"):
        return {}

    try:
        authenticate(event["headers"])
    except AuthError:
        return error(403, "forbidden")

    result = table.get_item(Key={"customerId": event["pathParameters"]["customerId"]})
    return response(200, result.get("Item", {}))
