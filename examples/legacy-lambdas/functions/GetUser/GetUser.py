import os

import boto3

from auth import check_token
from utils import respond

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    if event.get("warmup"):
        return "warm"

    if not check_token(event):
        return respond(401, {"message": "Unauthorized"})

    userId = event["pathParameters"]["userId"]
    res = table.get_item(Key={"userId": userId})
    if "Item" not in res:
        return respond(404, {"message": "User not found"})
    return respond(200, res["Item"])
