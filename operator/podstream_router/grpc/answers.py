"""What the router says itself on a gRPC connection: its SETTINGS, and refusals."""

from typing import Final
from urllib.parse import quote

from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from podstream_router.errors import Refusal

SETTINGS: Final = SettingsFrame(0).serialize()
"""Empty: every value stays what HTTP/2 starts with, so the pod's own can follow."""

UNAVAILABLE: Final = 14
_STATUS: Final = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    409: 8,
    410: 9,  # FAILED_PRECONDITION: the session is over
    413: 8,
    422: 3,
    429: 8,  # RESOURCE_EXHAUSTED
}
"""HTTP status of a refusal to gRPC status; others are UNAVAILABLE, which clients try again."""
_BUSY: Final = frozenset({"Busy", "Overloaded", "TooManyRequests"})
_RESOURCE_EXHAUSTED: Final = 8
_MESSAGE_SAFE: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


def status_of(refusal: Refusal) -> int:
    """The gRPC status that says the same."""
    if refusal.error in _BUSY:
        return _RESOURCE_EXHAUSTED
    return _STATUS.get(refusal.status, UNAVAILABLE)


def refusal_bytes(stream_id: int, *, status: int, message: str) -> bytes:
    """A Trailers-Only response to the first call, and the end of the connection.

    The message is percent-encoded as the gRPC protocol over HTTP/2 asks. A client that is still
    sending is told to stop, as RFC 9113, 8.1 has it: otherwise its call would be open when the
    connection ends, and the library would report that end instead of the refusal.
    """
    block = Encoder().encode(
        [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", str(status)),
            ("grpc-message", quote(message, safe=_MESSAGE_SAFE)),
        ]
    )
    trailers = HeadersFrame(stream_id, data=block, flags=["END_HEADERS", "END_STREAM"])
    stop = RstStreamFrame(stream_id, error_code=0)
    goodbye = GoAwayFrame(0, last_stream_id=stream_id, error_code=0)
    return trailers.serialize() + stop.serialize() + goodbye.serialize()
