import decimal
import json


class DecimalEncoder(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, decimal.Decimal):
            return int(o)
        return super().default(o)


def response(code, payload=None):
    return {
        "statusCode": code,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(payload, cls=DecimalEncoder) if payload is not None else "",
    }


def error(code, message):
    return response(code, {"error": message})
