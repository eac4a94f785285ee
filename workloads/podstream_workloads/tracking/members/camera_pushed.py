"""A camera whose client sends pictures by Socket.IO (`spec.tracking.camera.source.type: SocketIO`).

    FrameDoor (32 pictures) -> decoded in a thread -> the camera's work -> frame_processed

Nothing is left out on the way but what the door refuses or drops, and says so.
"""

import asyncio
import logging
import time
from typing import Final

from aiohttp import web

from podstream_workloads.tracking.edge.camera import Camera
from podstream_workloads.tracking.edge.feed import Feed
from podstream_workloads.tracking.intruder.pictures import PictureRefused, decode
from podstream_workloads.tracking.intruder.settings import DoorSettings
from podstream_workloads.tracking.intruder.site.door import FrameDoor
from podstream_workloads.tracking.intruder.site.figures import DoorTally
from podstream_workloads.tracking.intruder.site.frames import Frame

logger = logging.getLogger(__name__)

CAPACITIES: Final = {"device": 4, "caller": 16}
"""One client and its successor, which may poll beside its WebSocket; who asks for /health."""


class PushedPictures:
    """The way of a client's pictures into a camera."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._settings = DoorSettings(max_connections=1, newest_wins=True)
        self._tally = DoorTally()
        self._door = FrameDoor(self._settings, tally=self._tally)
        self._feed = Feed(camera.frames, fps=0)
        self._work: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why the newest picture was none; empty where it was one."""

    def open(self) -> web.Application:
        """Begin to look at pictures; the application takes them."""
        self._work = asyncio.create_task(self._look(), name="pushed-pictures")
        app = web.Application()
        self._door.add_to(app)
        return app

    @property
    def dropped(self) -> int:
        """Pictures that newer ones replaced."""
        return self._tally.dropped

    @property
    def refused(self) -> int:
        """Pictures and messages that were not accepted."""
        return self._tally.refused.total()

    async def close(self) -> None:
        """Take no more, and let the client go."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._door.close()

    async def _look(self) -> None:
        while True:
            frame = await self._door.get()
            try:
                await self._look_at(frame)
            except PictureRefused as refused:
                self.trouble = f"{frame.name}: {refused}"
                logger.error("Failed to decode frame: %s", self.trouble)
            else:
                self.trouble = ""
            await self._door.processed(frame)

    async def _look_at(self, frame: Frame) -> None:
        picture = await asyncio.to_thread(decode, frame.data, limits=self._settings.limits)
        age_s = time.monotonic() - frame.received_at
        await self._camera.look_at(self._feed.frame(picture, age_s=age_s))
