"""Reads the opening of an HTTP/2 connection (RFC 9113) as far as the first request's headers.

gRPC clients send no request before they have seen the server's SETTINGS. So the router sends empty
ones of its own first, keeps all that the client says, and replays it to the pod, whose own SETTINGS
then reach the client as an ordinary second frame. One thing must not be replayed: the client's
acknowledgement of the router's SETTINGS, which the pod has never sent. It is the first
acknowledgement that comes, before or after the headers.

No sockets: bytes in, values out.
"""

from dataclasses import dataclass
from typing import Final

from hpack import Decoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, SettingsFrame

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_OPENING_BYTES: Final = 64 * 1024
MAX_HEADER_BYTES: Final = 16 * 1024
"""Decoded size of the first request's headers, as gRPC servers allow by default (8 KiB) or a little
more."""
MAX_FRAME_BYTES: Final = 16 * 1024
"""SETTINGS_MAX_FRAME_SIZE as it stands before any SETTINGS say otherwise."""
_FRAME_HEADER: Final = 9
_ACK: Final = "ACK"
_END_HEADERS: Final = "END_HEADERS"


class BadOpening(ConnectionError):
    """The client does not speak HTTP/2 as gRPC does; the message says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class Request:
    """The first request's headers."""

    stream_id: int
    authority: str
    path: str
    metadata: dict[str, str]
    """Headers that are no pseudo-headers, by their lower-case name; of several the last."""


class Opening:
    """Collects a client's first bytes."""

    def __init__(self) -> None:
        self._seen = bytearray()
        """Not parsed yet."""
        self._kept = bytearray()
        self._has_preface = False
        self._headers: HeadersFrame | None = None
        self._block = bytearray()
        self.request: Request | None = None
        self.has_acknowledged = False
        """Whether the client's acknowledgement of the router's SETTINGS has come."""

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            BadOpening: they are no opening of a gRPC connection.
        """
        self._seen += data
        if not self._has_preface and not self._take_preface():
            return
        while self._take_frame():
            pass
        # Only now: the first headers and a whole window of their data may come in one piece.
        if self.request is None and len(self._seen) + len(self._kept) > MAX_OPENING_BYTES:
            raise BadOpening(f"no request within the first {MAX_OPENING_BYTES} bytes")

    def replay(self) -> bytes:
        """What the pod has to be sent, once; what is not a whole frame yet stays here."""
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def rest(self) -> bytes:
        """Everything that is left, when nothing needs to be held back any more."""
        kept = self.replay()
        rest, self._seen = bytes(self._seen), bytearray()
        return kept + rest

    @property
    def is_over(self) -> bool:
        """Whether the connection can be joined: the request is known, nothing is held back."""
        return self.request is not None and self.has_acknowledged

    def _take_preface(self) -> bool:
        start = bytes(self._seen[: len(PREFACE)])
        if not PREFACE.startswith(start):
            raise BadOpening(_what_it_is(start))
        if len(start) < len(PREFACE):
            return False
        self._kept += start
        del self._seen[: len(PREFACE)]
        self._has_preface = True
        return True

    def _take_frame(self) -> bool:
        if self.is_over or len(self._seen) < _FRAME_HEADER:
            return False
        try:
            frame, length = Frame.parse_frame_header(memoryview(self._seen[:_FRAME_HEADER]))
            if length > MAX_FRAME_BYTES:
                raise BadOpening(f"a frame of {length} bytes before the settings allow it")
            if len(self._seen) < _FRAME_HEADER + length:
                return False
            whole = bytes(self._seen[: _FRAME_HEADER + length])
            frame.parse_body(memoryview(whole[_FRAME_HEADER:]))
        except HyperframeError as error:
            raise BadOpening(f"a malformed frame: {error}") from error
        del self._seen[: len(whole)]
        if isinstance(frame, SettingsFrame) and _ACK in frame.flags and not self.has_acknowledged:
            self.has_acknowledged = True
            return True
        self._kept += whole
        if self.request is None:
            self._read_headers(frame)
        return True

    def _read_headers(self, frame: Frame) -> None:
        if isinstance(frame, HeadersFrame):
            if self._headers is not None:
                raise BadOpening("headers inside of headers")
            self._headers = frame
        elif not (isinstance(frame, ContinuationFrame) and self._headers is not None):
            if self._headers is not None:
                raise BadOpening("another frame inside of headers")
            return
        self._block += frame.data
        if len(self._block) > MAX_HEADER_BYTES:
            raise BadOpening(f"headers above {MAX_HEADER_BYTES} bytes")
        if _END_HEADERS in frame.flags:
            self.request = _decode(bytes(self._block), stream_id=self._headers.stream_id)


def _decode(block: bytes, *, stream_id: int) -> Request:
    decoder = Decoder(max_header_list_size=MAX_HEADER_BYTES)
    try:
        decoded = decoder.decode(block)
    except HPACKError as error:
        raise BadOpening(f"headers that cannot be decoded: {error}") from error
    fields = {str(name).lower(): str(value) for name, value in decoded}
    if fields.get(":method") != "POST" or not fields.get("content-type", "").startswith(
        "application/grpc"
    ):
        raise BadOpening("the first request is no gRPC call")
    return Request(
        stream_id=stream_id,
        authority=fields.get(":authority", ""),
        path=fields.get(":path", ""),
        metadata={name: value for name, value in fields.items() if not name.startswith(":")},
    )


def _what_it_is(start: bytes) -> str:
    if start[:1] == b"\x16":
        return "TLS on a port that speaks cleartext HTTP/2"
    if start.split(b" ")[0] in (b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT"):
        return "HTTP/1.1 on a port that speaks HTTP/2 only"
    return "no HTTP/2 connection preface"
