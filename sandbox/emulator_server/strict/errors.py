"""Error responses in AWS's protocols."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from sandbox.emulator_server.asgi import Response, make_response

JSON = "application/x-amz-json-1.1"


def error_response(protocol: str, status: int, code: str, message: str, service: str = "") -> Response:
    """Return a service's error in the format that its clients parse."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-errortype": code, "x-amzn-requestid": request_id}
    if protocol == "smithy-rpc-v2-cbor":
        body = b"\xa2" + b"".join(map(_cbor_text, ("__type", code, "message", message)))
        headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        headers["x-amzn-query-error"] = f"{code};Sender"
    elif protocol in ("json", "rest-json"):
        # Some models spell the member `message`, others `Message`; Lambda's errors also have `Type`.
        body = json.dumps({"__type": code, "message": message, "Message": message, "Type": "User"}).encode()
        headers["content-type"] = JSON if protocol == "json" else "application/json"
    else:
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        if protocol == "ec2":
            text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        elif service == "s3":
            text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
        else:
            text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        body = text.encode()
        headers["content-type"] = "text/xml"
    return make_response(status, headers, body)


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return (b"\x79" + len(raw).to_bytes(2, "big")) + raw
