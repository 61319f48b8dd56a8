import json
import logging
import os
import time

import boto3
from botocore.exceptions import ClientError

from auth import check_token
from utils import respond

logger = logging.getLogger()
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(os.environ["TABLE_NAME"])


def handler(event, context):
    if check_token(event) is None:
        return respond(401, {"message": "Unauthorized"})

    try:
        body = json.loads(event["body"] or "{}")
    except ValueError:
        return respond(400, {"message": "Invalid JSON"})

    # does not check whether the e-mail address is in use
    names = {"#u": "updatedAt"}
    values = {":u": int(time.time())}
    sets = ["#u = :u"]
    for field in ("userName", "emailAddress"):
        if field in body:
            names["#" + field] = field
            values[":" + field] = body[field]
            sets.append("#%s = :%s" % (field, field))

    try:
        res = table.update_item(
            Key={"userId": event["pathParameters"]["userId"]},
            UpdateExpression="SET " + ", ".join(sets),
            ConditionExpression="attribute_exists(userId)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
        )
    except ClientError as e:
        if e.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return respond(404, {"message": "User not found"})
        logger.exception("update failed")
        return respond(500, {"message": "Internal server error"})
    return respond(200, {"message": "User updated", "user": res["Attributes"]})
