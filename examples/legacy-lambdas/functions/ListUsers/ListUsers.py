import json
import os

import boto3
from boto3.dynamodb.conditions import Attr

from auth import check_token

client = boto3.resource("dynamodb")


def handler(event, context):
    try:
        if not check_token(event):
            return {"statusCode": 401, "body": json.dumps({"message": "Unauthorized"})}

        params = event.get("queryStringParameters") or {}
        table = client.Table(os.environ["USERS_TABLE"])

        if params.get("email"):
            # TODO: use an index
            items = []
            kwargs = {"FilterExpression": Attr("emailAddress").eq(params["email"])}
            while True:
                page = table.scan(**kwargs)
                items += page["Items"]
                if "LastEvaluatedKey" not in page:
                    break
                kwargs["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            return {"statusCode": 200, "body": json.dumps({"users": items, "count": len(items)}, default=str)}

        kwargs = {"Limit": int(params.get("limit", 100))}
        if params.get("lastKey"):
            kwargs["ExclusiveStartKey"] = {"userId": params["lastKey"]}
        page = table.scan(**kwargs)
        result = {"users": page["Items"], "count": page["Count"]}
        if "LastEvaluatedKey" in page:
            result["lastKey"] = page["LastEvaluatedKey"]["userId"]
        return {
            "statusCode": 200,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps(result, default=str),
        }
    except Exception as e:
        print("ERROR", e)
        return {"statusCode": 500, "body": json.dumps({"message": "Internal error: %s" % e})}
