import os

import boto3

from helpers import error, response
from security import AuthError, authenticate

ddb = boto3.client("dynamodb")


def handler(event, context):
    try:
        authenticate(event["headers"])
    except AuthError:
        return error(403, "forbidden")

    old = ddb.delete_item(
        TableName=os.environ["CUSTOMERS_TABLE"],
        Key={"customerId": {"S": event["pathParameters"]["customerId"]}},
        ReturnValues="ALL_OLD",
    )
    if "Attributes" not in old:
        return error(404, "no such customer")
    return response(204)
