"""The receiver's jitter buffer: frames leave when they are complete, and holes do not last.

Stock aiortc 1.16 gives a video frame out when the first packet of the next one arrives, looks at
every packet of the frame again for each that comes, waits for a lost packet until the buffer holds
512, and then decodes pictures whose references are missing. Here

* the RTP marker bit (RFC 3550) ends a frame;
* a packet that is not there after `HOLE_S` is given up, and one that no sender can repeat any more
  after `LATE_S`: everything up to the next key frame is dropped, which is asked for. A picture that
  stands still for a moment is no wrong one.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import aiortc.jitterbuffer
from aiortc.jitterbuffer import JitterFrame

CAPACITY: Final = 2048
"""Packets: more than `HOLE_S` of 3840x2160 at 60 frames/s."""
HOLE_S: Final = 0.4
"""Two to eight requests for the packet, by the way's length, have been in vain by then."""
LATE_S: Final = 0.1
STOCK_HISTORY: Final = 128
"""Packets that a sender of stock aiortc can repeat. Ours repeat more; a receiver cannot tell."""
_ASK_S: Final = 0.5
_SEQUENCES: Final = 1 << 16
_START_CODE: Final = b"\x00\x00\x00\x01"
_H264_TYPE: Final = 0x1F
_H264_KEY: Final = (5, 7)
"""NAL units that begin a picture without references: its slice, its parameters (RFC 6184)."""
_VP8_START: Final = b"\x9d\x01\x2a"
"""Behind the frame tag of a VP8 key frame (RFC 6386, section 9.1)."""


def begins_key_frame(data: bytes) -> bool:
    """Whether a depayloaded packet begins a key frame of H264 or VP8.

    No other packet looks like it: H264 escapes its start code inside of units, and the first byte
    of a VP8 key frame is even.
    """
    if data[:4] == _START_CODE:
        return len(data) > 4 and data[4] & _H264_TYPE in _H264_KEY  # noqa: PLR2004
    return bool(data) and data[0] & 1 == 0 and data[3:6] == _VP8_START


class MarkerJitterBuffer(aiortc.jitterbuffer.JitterBuffer):
    """In the place of aiortc's, for video; audio is left to it."""

    now: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, capacity: int, prefetch: int = 0, is_video: bool = False) -> None:
        super().__init__(max(capacity, CAPACITY) if is_video else capacity, prefetch, is_video)
        self._scan_origin: int | None = None
        self._scanned = 0
        self._newest: int | None = None
        self._key_start: int | None = None
        self._hole_since: float | None = None
        self._asked_at = -_ASK_S
        self._needs_key = False

    @property
    def origin(self) -> int | None:
        """Sequence number of the oldest packet that is still waited for or held."""
        return self._origin

    def require_key_frame(self) -> None:
        """Drop frames until one comes that needs no other."""
        self._needs_key = True

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        """Take a packet; whether a key frame must be asked for, and a frame that is complete."""
        if not self._is_video:
            return super().add(packet)
        number = packet.sequence_number
        if self._newest is None or _ahead(number, of=self._newest) < _SEQUENCES // 2:
            self._newest = number
        if begins_key_frame(packet._data):
            self._key_start = number
        asks, frame = super().add(packet)
        if asks:  # it has thrown packets away
            self._newest = number
            frame = None if frame is None or not begins_key_frame(frame.data) else frame
            self._needs_key = frame is None
        if frame is not None or not self._has_hole():
            self._hole_since = None
            return asks, frame
        if self._give_up():
            return asks, self._take()
        return asks or self._must_ask(), None

    def pop_complete(self) -> tuple[int, JitterFrame] | None:
        """Payload type and frame at the origin, where that is complete."""
        if self._origin is None or not self._is_video:
            return None
        while (packet := self._packets[self._origin % self._capacity]) is not None:
            payload_type: int = packet.payload_type
            before = self._origin
            frame = self._take()
            if frame is not None:
                return payload_type, frame
            if self._origin == before:
                break
        return None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        return self._take() if self._is_video else super()._remove_frame(sequence_number)

    def _take(self) -> JitterFrame | None:
        """Cut the frame at the origin off; frames that cannot be shown are dropped before it."""
        while (count := self._complete()) is not None:
            origin = self._origin or 0
            packets: list[Any] = [
                self._packets[(origin + index) % self._capacity] for index in range(count)
            ]
            self.remove(count)
            if self._needs_key and not begins_key_frame(packets[0]._data):
                continue
            self._needs_key = False
            data = b"".join(packet._data for packet in packets)
            return JitterFrame(data=data, timestamp=packets[0].timestamp)
        return None

    def _complete(self) -> int | None:
        """Packets of the frame at the origin, once its end is there. Looks at each packet once."""
        if self._origin is None:
            return None
        if self._scan_origin != self._origin:
            self._scan_origin, self._scanned = self._origin, 0
        first: Any = self._packets[self._origin % self._capacity]
        while self._scanned < self._capacity:
            packet: Any = self._packets[(self._origin + self._scanned) % self._capacity]
            if packet is None:
                return None
            if packet.timestamp != first.timestamp:
                return self._scanned  # a sender that sets no marker
            self._scanned += 1
            if packet.marker:
                return self._scanned
        return None

    # -- holes

    def _has_hole(self) -> bool:
        """Whether packets wait behind one that is missing."""
        if self._origin is None or self._newest is None:
            return False
        held = _ahead(self._newest, of=self._origin) + 1
        start = self._scanned if self._scan_origin == self._origin else 0
        return start < held < _SEQUENCES // 2

    def _give_up(self) -> bool:
        """Go on with the newest key frame behind the hole, if that has lasted too long."""
        now = self.now()
        if self._hole_since is None:
            self._hole_since = now
        if not self._is_old(now) or self._origin is None or self._newest is None:
            return False
        if self._key_start is None:
            return False
        count = _ahead(self._key_start, of=self._origin)
        if not self._scanned < count <= _ahead(self._newest, of=self._origin):
            return False
        self.remove(count)
        self._hole_since, self._needs_key = None, False
        return True

    def _must_ask(self) -> bool:
        """Whether a key frame has to be asked for, now."""
        now = self.now()
        if not self._is_old(now) or now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        return True

    def _is_old(self, now: float) -> bool:
        if self._hole_since is None or self._origin is None or self._newest is None:
            return False
        behind = _ahead(self._newest, of=self._origin) - self._scanned
        return now - self._hole_since >= (LATE_S if behind > STOCK_HISTORY else HOLE_S)


def _ahead(number: int, *, of: int) -> int:
    return (number - of) % _SEQUENCES
