import json
import os

import boto3

from auth import validate_token


def handler(event, context):
    if not validate_token(event):
        return {"statusCode": 401, "body": json.dumps({"message": "Unauthorized"})}

    # connects at every request
    dynamodb = boto3.resource("dynamodb")
    table = dynamodb.Table(os.environ["TABLE"])
    table.delete_item(Key={"userId": event["pathParameters"]["userId"]})
    return {"statusCode": 200, "body": json.dumps({"message": "User deleted"})}
