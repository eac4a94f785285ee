"""Socket.IO as cameras and alarms speak it: frames that are accepted wait here, others are refused.

What becomes of a frame is somebody else's affair, who takes it by `get` and says `processed`. A
frame that had to give way to newer ones is answered by `frame_refused` instead, which existing
cameras do not listen to.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import socketio
from aiohttp import web

from podstream_workloads.tracking.intruder.buckets import TokenBucket
from podstream_workloads.tracking.intruder.settings import DoorSettings
from podstream_workloads.tracking.intruder.site.figures import DoorTally
from podstream_workloads.tracking.intruder.site.frames import Frame, WaitingFrames
from podstream_workloads.tracking.intruder.site.packets import (
    MALFORMED,
    BoundedJson,
    BoundedPacket,
)
from podstream_workloads.tracking.intruder.site.sockets import EngineRoute

logger = logging.getLogger(__name__)
_library = logging.getLogger(f"{__name__}.socketio")
_library.setLevel(logging.WARNING)  # else it formats a line for every packet

_NAME: Final = 200
"""Characters of a frame's name that are kept."""
_CLOSE_S: Final = 5.0


class FrameDoor:
    """The sockets of a site or of a camera, and the frames that came by them."""

    def __init__(
        self,
        settings: DoorSettings,
        *,
        tally: DoorTally,
        on_dropped: Callable[[Frame], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            settings: bounds of sockets, messages and frames.
            tally: counts what comes and goes.
            on_dropped: told of each frame that had to give way.
        """
        self._settings = settings
        self._tally = tally
        self._on_dropped = on_dropped
        self._buckets: dict[str, TokenBucket] = {}
        self._frames = WaitingFrames(
            per_camera=settings.frames_per_camera,
            max_bytes=settings.max_waiting_bytes,
            max_cameras=settings.max_connections,
        )
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            max_http_buffer_size=settings.max_message_bytes,
            # In order and one at a time: a socket that is served slowly is read slowly.
            async_handlers=False,
            serializer=BoundedPacket,
            json=BoundedJson,
            logger=_library,
            engineio_logger=_library,
        )
        self._route = EngineRoute(
            self._sio, max_clients=settings.max_connections, on_oversize=self._on_oversize
        )
        self._sio.on("connect", self._on_connect)
        self._sio.on("disconnect", self._on_disconnect)
        self._sio.on("frame_event", self._on_frame)
        self._sio.on(MALFORMED, self._on_malformed)
        self._sio.on("*", self._on_other)

    def add_to(self, app: web.Application) -> None:
        """Serve Socket.IO at its default path, and `GET /health`."""
        self._route.add_to(app)
        app.router.add_get("/health", _health)

    @property
    def waiting(self) -> int:
        """Frames that nobody has taken yet."""
        return len(self._frames)

    async def get(self) -> Frame:
        """The next frame; waits for one. Cameras take turns."""
        return await self._frames.get()

    async def accept(self, frame: Frame) -> None:
        """Let a frame wait; the oldest give way where there are too many."""
        self._tally.frames += 1
        for gone in self._frames.put(frame):
            self._tally.dropped += 1
            count = self._tally.dropped
            if _is_round(count):
                logger.warning("Dropped frame: %s [%d so far]", gone.name, count)
            self._on_dropped(gone)
            refusal = {"frame_name": gone.name, "reason": "overflow"}
            await self._sio.emit("frame_refused", refusal, to=gone.sid)

    async def processed(self, frame: Frame) -> None:
        """Tell a frame's sender that it is done with."""
        await self._sio.emit("frame_processed", {"frame_name": frame.name}, to=frame.sid)

    async def tell_all(self, event: str) -> None:
        """Send an event to every socket."""
        await self._sio.emit(event)

    async def close(self) -> None:
        """Let the sockets go; the application's own shutdown has cut them."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._sio.shutdown()
        except TimeoutError:
            logger.warning("Some sockets did not close within %.0f s", _CLOSE_S)
        self._route.close()

    async def _on_connect(self, sid: str, environ: Any, auth: Any = None) -> None:
        if self._settings.newest_wins:
            while len(self._buckets) >= self._settings.max_connections:
                oldest = next(iter(self._buckets))
                logger.info("Socket %s gives way to %s", oldest, sid)
                await self._sio.disconnect(oldest)
                self._buckets.pop(oldest, None)
        if len(self._buckets) >= self._settings.max_connections:
            self._tally.refused["connections"] += 1
            logger.warning("A socket was refused: %d are there", len(self._buckets))
            raise socketio.exceptions.ConnectionRefusedError("too many connections")
        self._buckets[sid] = TokenBucket(
            self._settings.camera_frames_per_s, burst=self._settings.camera_burst
        )
        self._route.note(self._sio.manager.eio_sid_from_sid(sid, "/"), environ["aiohttp.request"])
        self._tally.connections = len(self._buckets)
        self._tally.connections_ever += 1
        logger.info("Socket %s connected, %d are there", sid, len(self._buckets))

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        self._buckets.pop(sid, None)
        self._tally.connections = len(self._buckets)
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        if engine_sid is not None:
            self._route.cut(engine_sid)
        logger.info("Socket %s is gone: %s", sid, reason)

    async def _on_frame(self, sid: str, *given: Any) -> None:
        in_time = await self._paced(sid)
        message = given[0] if len(given) == 1 else None
        if not isinstance(message, dict):
            return await self._refuse(sid, "", "malformed", "frame_event takes one object")
        name, data = message.get("frame_name"), message.get("data")
        if not isinstance(name, str) or not isinstance(data, bytes):
            return await self._refuse(
                sid,
                name if isinstance(name, str) else "",
                "malformed",
                "frame_event takes frame_name (text) and data (bytes)",
            )
        if not in_time:
            return await self._refuse(sid, name, "rate", "too many frames a second")
        limit = self._settings.limits.max_bytes
        if len(data) > limit:
            return await self._refuse(sid, name, "size", f"{len(data)} bytes, at most {limit}")
        await self.accept(Frame(sid, shown(name), data, time.monotonic()))
        return None

    async def _on_malformed(self, sid: str, *given: Any) -> None:
        await self._paced(sid)
        await self._refuse(sid, "", "malformed", shown(str(given[0])) if given else "")

    async def _on_other(self, event: str, sid: str, *_: Any) -> None:
        await self._paced(sid)
        self._tally.refused["event"] += 1
        self._log_sparsely("event", "Socket %s: unknown event %s", sid, shown(event))

    def _on_oversize(self, engine_sid: str) -> None:
        self._tally.refused["message"] += 1
        logger.warning(
            "A message over %d bytes cost its sender the socket (%s)",
            self._settings.max_message_bytes,
            shown(engine_sid) or "no session",
        )

    async def _paced(self, sid: str) -> bool:
        """Whether this socket may send now; else the pause after which it is read again is over."""
        bucket = self._buckets.get(sid)
        if bucket is None or bucket.take():
            return True
        await asyncio.sleep(bucket.wait_s())
        bucket.take()
        return False

    async def _refuse(self, sid: str, name: str, reason: str, detail: str) -> None:
        self._tally.refused[reason] += 1
        self._log_sparsely(reason, "Refused frame: %s: %s (%s)", shown(name), reason, detail)
        await self._sio.emit("frame_refused", {"frame_name": shown(name), "reason": reason}, to=sid)

    def _log_sparsely(self, reason: str, text: str, *values: Any) -> None:
        """A line for the first of each reason and then for every tenth, hundredth, ..."""
        count = self._tally.refused[reason]
        if _is_round(count):
            logger.warning("%s [%d so far]", text % values, count)


def shown(text: str) -> str:
    """A foreign text as it may stand in a log line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_NAME])


def _is_round(count: int) -> bool:
    return count == int("1" + "0" * (len(str(count)) - 1))


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})
