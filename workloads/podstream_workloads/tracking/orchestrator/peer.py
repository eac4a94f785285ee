"""One socket's sending side: never waits, never raises, never holds up another peer.

Frames go straight into the transport while it takes them; behind a slow peer they wait in its
mailbox, and a task of its own passes them on as the transport's buffer empties. Writing whole
frames past aiohttp's writer is safe: without compression every frame of aiohttp is one
uninterrupted write to the same transport, too.
"""

import asyncio
import logging
from collections.abc import Hashable
from typing import Final

from aiohttp import WSCloseCode, web
from aiohttp.abc import AbstractStreamWriter

from podstream_workloads.tracking.orchestrator import messages
from podstream_workloads.tracking.orchestrator.admission import Admission
from podstream_workloads.tracking.orchestrator.frames import close_frame, text_frame
from podstream_workloads.tracking.orchestrator.mailbox import Mailbox, Overflow
from podstream_workloads.tracking.orchestrator.messages import Scalar
from podstream_workloads.tracking.orchestrator.settings import Limits

logger = logging.getLogger(__name__)

HIGH_WATER: Final = 64 * 1024
"""Bytes in the transport's buffer from which on frames wait in the mailbox; asyncio's own mark."""
_GOODBYE_S: Final = 3.0  # for the other side to answer, counted from when it last took something
_LEAVE_S: Final = 15.0  # for all of it
TRY_AGAIN_LATER: Final = 1013


class Socket(web.WebSocketResponse):
    """aiohttp's WebSocket, for which `Peer` may have said goodbye already."""

    parted = False
    """The closing message has been written."""

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Close, unless it has been done or is left to `Connection`."""
        if self.parted or code == WSCloseCode.MESSAGE_TOO_BIG:
            return False
        return await super().close(code=code, message=message, drain=drain)


class Peer:
    """A client or a processor that is connected."""

    def __init__(
        self,
        socket: Socket,
        *,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport,
        admission: Admission,
        name: str,
        limits: Limits,
        now: float,
    ) -> None:
        self.name = name
        """What the log calls it."""
        self.admission = admission
        self.said_hello = False
        self.uses_images = False
        """A client that wants `newObject` and `stop`."""
        self.cameras: frozenset[Scalar] | None = None
        """Cameras that a client has subscribed to; None is every camera."""
        self.camera: bytes = b"null"
        """JSON of the id that a processor gave itself."""
        self.camera_name: Scalar = None
        """The same as a value, by which cameras are compared."""
        self._socket = socket
        self._writer = writer
        self._transport = transport
        self._limits = limits
        self._mailbox = Mailbox(box_budget_bytes=limits.box_budget_bytes)
        self._passing_on: asyncio.Task[None] | None = None
        self._written = 0
        self._taken = 0
        self._taken_at = now
        self._cut_at: float | None = None
        self._gone_by = 0.0

    @property
    def parting(self) -> bool:
        """A closing message has been sent; nothing the peer says counts any more."""
        return self._cut_at is not None

    @property
    def dropped(self) -> int:
        """Boxes messages it did not get because newer ones came."""
        return self._mailbox.dropped

    def send_boxes(self, frame: bytes, camera: Hashable) -> None:
        """Send boxes; a slow peer gets only the latest of each camera."""
        transport = self._transport
        if self._passing_on is None and transport.get_write_buffer_size() < HIGH_WATER:
            if self._cut_at is None and not transport.is_closing():
                transport.write(frame)
                self._written += len(frame)
            return
        if self._cut_at is None:
            self._mailbox.put_boxes(frame, camera)
            self._pass_on()

    def send_control(self, frame: bytes, *, replayed: int = 0) -> None:
        """Send a message that must not be lost.

        A peer for which too many wait is closed with 1013; `replayed` more than the usual may wait.
        """
        if self._cut_at is not None or self._transport.is_closing():
            return
        if self._passing_on is None and self._transport.get_write_buffer_size() < HIGH_WATER:
            self._transport.write(frame)
            self._written += len(frame)
            return
        try:
            limit = self._limits.control_messages + replayed
            self._mailbox.put_control(frame, limit=limit)
        except Overflow as overflow:
            logger.warning("peer too slow", extra={"peer": self.name, "why": str(overflow)})
            self.part(TRY_AGAIN_LATER, "too slow")
            return
        self._pass_on()

    def tell_refused(self, code: str, text: str) -> None:
        """Send `error`, to a peer that knows it."""
        if self.said_hello:
            self.send_control(text_frame(messages.error(code, text)))

    def part(self, code: int | None, reason: str = "") -> None:
        """Say goodbye; a peer that does not answer within a few seconds is cut off.

        What the transport holds already is read before the goodbye, so a slow reader has longer.
        """
        if self._cut_at is not None:
            return
        logger.info("closing", extra={"peer": self.name, "code": code, "why": reason})
        loop_time = asyncio.get_running_loop().time()
        self._cut_at, self._gone_by = loop_time + _GOODBYE_S, loop_time + _LEAVE_S
        self._socket.parted = True
        self._mailbox.clear()
        if not self._transport.is_closing():
            self._transport.write(close_frame(code, reason))

    def look_after(self, now: float) -> None:
        """Cut the peer off if it takes nothing or does not go. Called often, with any clock."""
        waiting = self._transport.get_write_buffer_size()
        taken = self._written - waiting
        moves = taken > self._taken
        self._taken = max(taken, self._taken)
        if self._cut_at is not None:
            loop_time = asyncio.get_running_loop().time()
            if moves and loop_time < self._gone_by:
                self._cut_at = min(loop_time + _GOODBYE_S, self._gone_by)
            elif loop_time >= self._cut_at:
                self.abort()
        elif moves or not (waiting or self._mailbox):
            self._taken_at = now
        elif now - self._taken_at >= self._limits.stalled_s:
            logger.warning("peer takes nothing, cut off", extra={"peer": self.name})
            self.abort()

    def abort(self) -> None:
        """Drop the connection with all that waits for it."""
        self._socket.parted = True
        self._mailbox.clear()
        self._transport.abort()

    async def gone(self) -> None:
        """Wait, after `part`, until the other side has closed the connection or was cut off."""
        while not self._transport.is_closing():  # noqa: ASYNC110 - a transport has no event
            await asyncio.sleep(0.02)

    async def release(self) -> None:
        """End the peer's own task; the connection is gone."""
        if self._passing_on is not None:
            self._passing_on.cancel()
            await asyncio.gather(self._passing_on, return_exceptions=True)

    def _pass_on(self) -> None:
        if self._passing_on is None:
            self._passing_on = asyncio.create_task(self._empty_mailbox(), name=f"out:{self.name}")

    async def _empty_mailbox(self) -> None:
        transport = self._transport
        try:
            while self._mailbox and not transport.is_closing():
                while self._mailbox and transport.get_write_buffer_size() < HIGH_WATER:
                    frame = self._mailbox.pop()
                    transport.write(frame)
                    self._written += len(frame)
                await self._writer.drain()
                # The buffer may be below asyncio's mark and drain return at once: let others in.
                await asyncio.sleep(0)
        except ConnectionError:
            self._mailbox.clear()  # the reading side sees the end of the connection, too
        finally:
            self._passing_on = None
