"""What the router itself says on an HTTP connection that it would have passed on: refusals."""

from http import HTTPStatus

import msgspec

from podstream_router.errors import Refusal


def refusal_bytes(refusal: Refusal, *, with_body: bool = True) -> bytes:
    """A whole answer, and the end of the connection.

    Any page may read it, as it may read what the pod says: the original lets every origin in.

    Args:
        refusal: what to say.
        with_body: false for the answer to HEAD.
    """
    body = msgspec.json.encode(
        {"error": refusal.error, "message": refusal.message, **refusal.details}
    )
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Access-Control-Allow-Origin": "*",
        **refusal.headers,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return head + body if with_body else head
