import base64
import json
import logging
import os

import boto3
from boto3.dynamodb.conditions import Attr

from helpers import error, response
from security import AuthError, authenticate

log = logging.getLogger()
log.setLevel(os.environ["LOG_LEVEL"])
table = boto3.resource("dynamodb").Table(os.environ["CUSTOMERS_TABLE"])


def handler(event, context):
    try:
        authenticate(event["headers"])
    except AuthError as e:
        return error(403, str(e))

    query = event["queryStringParameters"] or {}
    args = {"Limit": int(query.get("pageSize", "50"))}
    if "accountManager" in query:
        # The limit counts items before the filter, so pages may be empty.
        args["FilterExpression"] = Attr("accountManager").eq(query["accountManager"])
    if "nextToken" in query:
        args["ExclusiveStartKey"] = json.loads(base64.b64decode(query["nextToken"]))
    page = table.scan(**args)
    token = page.get("LastEvaluatedKey")
    return response(
        200,
        {
            "customers": page["Items"],
            "nextToken": base64.b64encode(json.dumps(token).encode()).decode() if token else None,
        },
    )
