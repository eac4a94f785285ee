"""Encodes a stream once for all its WebRTC viewers of one codec; slow ones miss pictures.

A picture is encoded only while somebody looks, in a thread, and only the newest frame: an encoder
that is behind leaves frames out. Its packets are the same for every viewer, so a viewer costs
what sending them costs. A picture that others are built on cannot be left out for one viewer: one
who has fallen behind waits for the next key picture.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import MediaStreamTrack
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import MediaStreamError

from podstream_core.api import Codec
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import EncoderSettings
from podstream_workloads.media.encoders.vp8 import Vp8Encoder
from podstream_workloads.stream.frames import Frame

logger = logging.getLogger(__name__)

_BOX: Final = 8
"""Pictures that wait for one viewer: a quarter of a second, then it waits for a key picture."""
_TIME_BASE: Final = Fraction(1, VIDEO_CLOCK_RATE)
_ENCODERS: Final[dict[Codec, type[BudgetEncoder]]] = {
    Codec.H264: H264Encoder,
    Codec.VP8: Vp8Encoder,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame, encoded and cut into RTP payloads."""

    payloads: list[bytes]
    time: int
    """Ticks of 1/90000 s."""
    is_key: bool


class Forwarder(Encoder):
    """Stands where aiortc has an encoder, and hands on what is encoded already."""

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Never called: tracks of viewers have no frames."""
        raise NotImplementedError("pictures are encoded once, by their programme")

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        """Payloads and time of a picture."""
        assert isinstance(packet, Picture)
        return packet.payloads, packet.time


class PictureTrack(MediaStreamTrack):
    """One viewer's pictures."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._box: deque[Picture] = deque()
        self._has_some = asyncio.Event()
        self._needs_key = True
        self.dropped = 0
        """Pictures that this viewer has missed."""

    @property
    def needs_key(self) -> bool:
        """Whether nothing but a key picture can be shown."""
        return self._needs_key

    def give(self, picture: Picture) -> None:
        """Offer a picture; never waits."""
        if len(self._box) >= _BOX:
            self.dropped += len(self._box)
            self._box.clear()
            self._needs_key = True
        if self._needs_key and not picture.is_key:
            self.dropped += 1
            return
        self._needs_key = False
        self._box.append(picture)
        self._has_some.set()

    async def recv(self) -> Any:
        """The next picture; aiortc hands what is no frame to `Encoder.pack`.

        Raises:
            MediaStreamError: the track was stopped.
        """
        while not self._box:
            if self.readyState != "live":
                raise MediaStreamError
            self._has_some.clear()
            await self._has_some.wait()
        return self._box.popleft()

    def stop(self) -> None:
        """End the track; whoever waits for a picture is told."""
        super().stop()
        self._box.clear()
        self._has_some.set()


class Programme:
    """What the viewers of one codec see. Used on one event loop."""

    def __init__(self, codec: Codec, *, settings: EncoderSettings) -> None:
        """Prepare; nothing is encoded before somebody looks."""
        self._codec = codec
        self._encoder = _ENCODERS[codec](settings)
        # One path does not speak for all: no viewer's estimate of it changes what the others see.
        self._encoder.target_bitrate = settings.max_bitrate
        self._tracks: set[PictureTrack] = set()
        self._next: av.VideoFrame | None = None
        self._making: asyncio.Task[None] | None = None
        self._key_wanted = False
        self.encoded = 0
        """Pictures made so far."""

    def add(self, track: PictureTrack) -> None:
        """Show the stream to a viewer, from the next key picture on."""
        self._tracks.add(track)
        self.want_key()

    def remove(self, track: PictureTrack) -> None:
        """A viewer has gone."""
        self._tracks.discard(track)

    def want_key(self) -> None:
        """Make a key picture soon: somebody cannot go on. At most one a second is made."""
        self._key_wanted = True

    def show(self, frame: Frame) -> None:
        """Encode a frame unless nobody looks; a later one may overtake. Never waits."""
        if not self._tracks:
            return
        # Chroma has half the resolution: a last odd row or column is left out.
        height, width = frame.shape[0] & ~1, frame.shape[1] & ~1
        picture = av.VideoFrame.from_ndarray(frame[:height, :width].copy(), format="bgr24")
        picture.pts, picture.time_base = int(time.monotonic() * VIDEO_CLOCK_RATE), _TIME_BASE
        self._next = picture
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name=f"programme-{self._codec}")

    async def close(self) -> None:
        """Let the picture that is being made be finished."""
        self._next = None
        if self._making is not None:
            await asyncio.wait([self._making])

    async def _make(self) -> None:
        try:
            while self._next is not None and self._tracks:
                frame, self._next = self._next, None
                wanted, self._key_wanted = self._key_wanted, False
                made = await asyncio.to_thread(self._encode, frame, key=wanted)
                self.encoded += 1
                for track in self._tracks:
                    track.give(made)
                self._key_wanted |= any(track.needs_key for track in self._tracks)
        except av.FFmpegError as error:
            logger.error("picture not shown by WebRTC: %s", error)
        finally:
            self._making = None

    def _encode(self, frame: av.VideoFrame, *, key: bool) -> Picture:
        payloads, at = self._encoder.encode(frame, force_keyframe=key)
        return Picture(payloads, at, is_key=self._encoder.is_key)
