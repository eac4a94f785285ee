"""Socket.IO packets from anybody, bounded before they cost anything.

python-socketio builds whatever a packet announces: ten digits of binary attachments, an event that
is no list, an event called `connect`. Such a packet becomes the event `malformed` here, which the
edge counts and answers like any other, instead of an exception with a traceback in a log that the
sender can fill. The protocol: socket.io-protocol 5, engine.io-protocol 4.
"""

import json
from typing import Any, Final

import socketio

MALFORMED: Final = "malformed"
"""Event name of packets that make no sense; argument: why."""
_TEXT: Final = 64 * 1024
"""Characters of a packet without its attachments: a `frame_event` has a hundred."""
_ATTACHMENTS: Final = 4
"""Of one packet; a `frame_event` has one."""
_RESERVED: Final = frozenset({"connect", "disconnect", "connect_error"})
_PLAIN: Final = frozenset({0, 1, 3})
"""CONNECT, DISCONNECT, ACK."""
_EVENT: Final = 2
_BINARY_EVENT: Final = 5


class BoundedJson:
    """The JSON of all packets; too long or too deep is as wrong as bad syntax."""

    @staticmethod
    def dumps(*args: Any, **kwargs: Any) -> str:
        """As `json.dumps`."""
        return json.dumps(*args, **kwargs)

    @staticmethod
    def loads(text: str | bytes, **kwargs: Any) -> Any:
        """As `json.loads`, up to 65536 characters.

        Raises:
            ValueError: not JSON, too long, or too deep.
        """
        if len(text) > _TEXT:
            raise ValueError(f"more than {_TEXT} characters of JSON")
        try:
            return json.loads(text, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class BoundedPacket(socketio.packet.Packet):  # type: ignore[misc]  # the library ships no types
    """A packet that never raises while it is read."""

    data: Any

    def __init__(self, *args: Any, encoded_packet: Any = None, **kwargs: Any) -> None:
        """As the library's; a received packet may be empty."""
        super().__init__(*args, encoded_packet=encoded_packet, **kwargs)
        if encoded_packet is not None and not encoded_packet:
            self._spoilt(_EVENT, "empty")

    def decode(self, encoded_packet: Any) -> int:
        """Read a packet's text; returns how many attachments follow."""
        if isinstance(encoded_packet, str) and len(encoded_packet) > _TEXT:
            return self._spoilt(_EVENT, "too long")
        try:
            attachments = int(super().decode(encoded_packet))
        except (ValueError, TypeError, IndexError, AttributeError):
            return self._spoilt(_EVENT, "not a packet")
        if self.packet_type in _PLAIN and not attachments:
            return 0
        if self.packet_type not in {_EVENT, _BINARY_EVENT}:
            return self._spoilt(_EVENT, "a kind of packet that clients do not send")
        if not isinstance(self.data, list) or not self.data or not isinstance(self.data[0], str):
            return self._spoilt(_EVENT, "an event without a name")
        if self.data[0] in _RESERVED:
            return self._spoilt(_EVENT, "an event with a reserved name")
        if self.packet_type == _BINARY_EVENT and not 0 < attachments <= _ATTACHMENTS:
            return self._spoilt(_EVENT, "an impossible number of attachments")
        return attachments

    def add_attachment(self, attachment: Any) -> bool:
        """Add an attachment; true once the packet is whole."""
        if not isinstance(attachment, bytes):
            self._spoilt(_BINARY_EVENT, "text where an attachment should be")
            return True
        try:
            return bool(super().add_attachment(attachment))
        except (ValueError, TypeError, IndexError, KeyError):
            self._spoilt(_BINARY_EVENT, "attachments that are not there")
            return True

    def _spoilt(self, kind: int, why: str) -> int:
        self.packet_type = kind
        self.data = [MALFORMED, why]
        self.id = None
        return 0
