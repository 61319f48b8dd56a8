import json
import logging
import os
import re
import time
import uuid

import boto3
from boto3.dynamodb.conditions import Attr

from auth import check_token
from utils import respond

logger = logging.getLogger()
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(os.environ["TABLE_NAME"])


def handler(event, context):
    claims = check_token(event)
    if claims is None:
        return respond(401, {"message": "Unauthorized"})

    try:
        body = json.loads(event["body"] or "{}")
    except ValueError:
        return respond(400, {"message": "Invalid JSON"})

    if not body.get("userName"):
        return respond(400, {"message": "userName is required"})
    if not re.match(r"[^@]+@[^@]+", body.get("emailAddress", "")):
        return respond(400, {"message": "emailAddress is invalid"})

    # e-mail addresses must be unique
    found = table.scan(FilterExpression=Attr("emailAddress").eq(body["emailAddress"]))
    if found["Items"]:
        return respond(400, {"message": "User already exists"})

    now = int(time.time())
    item = {
        "userId": uuid.uuid4().hex,
        "userName": body["userName"],
        "emailAddress": body["emailAddress"],
        "createdAt": now,
        "updatedAt": now,
        "createdBy": claims["sub"],
    }
    table.put_item(Item=item)
    logger.info("added user %s", item["userId"])
    return respond(201, {"message": "User created", "userId": item["userId"]})
