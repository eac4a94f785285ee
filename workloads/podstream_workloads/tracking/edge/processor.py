"""A camera's connection to its site's orchestrator, kept up for as long as the camera runs.

It dials `/processor`, says who it is (`authenticate` where it has a token, `identifier` at once
after it, without waiting for an answer), sends boxes and feature maps and obeys `start`, `stop` and
`featureMap`. A lost connection is dialled again with growing pauses; boxes wait meanwhile, within
bounds. Nothing of what is bound is lost by it: the site replays what it knows on `identifier`.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from podstream_workloads.tracking.edge import wire
from podstream_workloads.tracking.edge.analysis import TrackedFrame
from podstream_workloads.tracking.edge.descriptor import Descriptor, of_picture
from podstream_workloads.tracking.edge.outbox import Outbox
from podstream_workloads.tracking.edge.reidentify import Targets
from podstream_workloads.tracking.edge.settings import ProcessorSettings

logger = logging.getLogger(__name__)

_DIAL_TIMEOUT_S: Final = 10.0
_SEND_TIMEOUT_S: Final = 10.0  # a site that reads nothing for so long is as good as gone
_CLOSE_TIMEOUT_S: Final = 2.0
_HEARTBEAT_S: Final = 20.0
_TOKEN_CHECK_S: Final = 5.0
_LASTING_S: Final = 5.0  # a connection that held for so long was a good one
_REPLACED: Final = 4409  # another processor has taken this camera's name


@dataclass(frozen=True, slots=True)
class ProcessorFigures:
    """How the connection has done so far."""

    connected: bool
    connections: int
    """Times that the site was reached."""
    sent: int
    dropped: int
    """Messages of boxes that waited too long."""
    received: int
    """Messages of the site that have been dealt with."""
    ignored: int
    """Messages of the site without effect."""
    objects: tuple[int, ...]
    """Objects that are looked for."""
    last_error: str
    """Why the last attempt or connection ended; empty where none has."""


class Processor:
    """One camera's client. Belongs to one event loop."""

    def __init__(
        self,
        settings: ProcessorSettings,
        *,
        targets: Targets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._targets = targets or Targets()
        self._clock = clock
        self._outbox = Outbox(most_boxes=settings.buffered)
        self._connected = False
        self._connections = self._sent = self._received = self._ignored = 0
        self._last_error = ""

    def figures(self) -> ProcessorFigures:
        """As of now."""
        return ProcessorFigures(
            connected=self._connected,
            connections=self._connections,
            sent=self._sent,
            dropped=self._outbox.dropped,
            received=self._received,
            ignored=self._ignored,
            objects=self._targets.objects,
            last_error=self._last_error,
        )

    def send(self, frame: TrackedFrame) -> dict[int, int]:
        """Tell the site what is in a frame; never waits. Objects by track.

        Frames without boxes are told as well: that is how viewers learn that somebody has left.
        """
        sightings = self._targets.observe(frame.boxes, now_s=self._clock(), frame_id=frame.frame_id)
        self._outbox.put_boxes(wire.bounding_boxes(frame, objects=sightings.objects))
        for object_id, descriptor in sightings.feature_maps:
            self._outbox.put_feature_map(object_id, wire.feature_map(object_id, descriptor))
        return sightings.objects

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        pause_s = self._settings.first_retry_s
        async with aiohttp.ClientSession(connector=self._connector()) as session:
            while True:
                reached = self._connections
                began = self._clock()
                try:
                    code = await self._connect(session)
                    self._last_error = f"closed with {code}"
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    code = None
                    self._last_error = f"{type(error).__name__}: {error}"[:300]
                finally:
                    self._connected = False
                lasted = self._connections > reached and self._clock() - began >= _LASTING_S
                if code == _REPLACED:
                    pause_s = self._settings.last_retry_s
                elif lasted:
                    pause_s = self._settings.first_retry_s
                logger.info(
                    "site not connected", extra={"why": self._last_error, "pause_s": pause_s}
                )
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2.0 * pause_s, self._settings.last_retry_s)

    def _connector(self) -> aiohttp.TCPConnector:
        if self._settings.ca_file is None:
            return aiohttp.TCPConnector()
        context = ssl.create_default_context(cafile=str(self._settings.ca_file))
        return aiohttp.TCPConnector(ssl=context)

    async def _connect(self, session: aiohttp.ClientSession) -> int | None:
        """Hold one connection until it ends; its close code."""
        headers = dict(self._settings.headers)
        bearer = await asyncio.to_thread(_read, self._settings.bearer_file)
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        async with asyncio.timeout(_DIAL_TIMEOUT_S):
            socket = await session.ws_connect(
                self._settings.url,
                headers=headers,
                heartbeat=_HEARTBEAT_S,
                max_msg_size=wire.MOST_BYTES,
            )
        try:
            await self._hold(socket)
        finally:
            # A peer that reads nothing any more would hold up a polite end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await socket.close()
        return socket.close_code

    async def _hold(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Introduce the camera, then talk until the first of the three talkers ends."""
        token = await asyncio.to_thread(_read, self._settings.token_file)
        if token:
            await self._say(socket, wire.authenticate(token))
        await self._say(socket, wire.identifier(self._settings.camera_id))
        await self._say(socket, wire.hello())
        self._connected = True
        self._connections += 1
        logger.info("site connected", extra={"camera": self._settings.camera_id})
        talkers = [
            asyncio.create_task(self._listen(socket), name="edge-listener"),
            asyncio.create_task(self._send_all(socket), name="edge-sender"),
        ]
        if self._settings.token_file is not None:
            renewing = self._renew(socket, token)
            talkers.append(asyncio.create_task(renewing, name="edge-token"))
        try:
            ended, _ = await asyncio.wait(talkers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in talkers:
                task.cancel()
            await asyncio.gather(*talkers, return_exceptions=True)
        for task in ended:
            task.result()

    async def _say(self, socket: aiohttp.ClientWebSocketResponse, message: str) -> None:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await socket.send_str(message)
        self._sent += 1

    async def _send_all(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            object_id, message = await self._outbox.get()
            try:
                await self._say(socket, message)
            except (OSError, aiohttp.ClientError):
                self._outbox.put_back(object_id, message)
                raise

    async def _renew(self, socket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        """Authenticate again when the token's file has a new one."""
        while True:
            await asyncio.sleep(_TOKEN_CHECK_S)
            newer = await asyncio.to_thread(_read, self._settings.token_file)
            if newer and newer != token:
                token = newer
                await self._say(socket, wire.authenticate(token))

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                await self._obey(wire.read(message.data))
            except wire.MessageIgnored as ignored:
                self._ignored += 1
                logger.warning("message of the site ignored", extra={"why": str(ignored)})
            self._received += 1  # once it has been dealt with

    async def _obey(self, command: wire.Command) -> None:
        match command:
            case wire.Start(object_id, box_id, frame_id, image):
                known = box_id is not None and self._targets.knows_track(box_id, frame_id=frame_id)
                shown = None if known or image is None else await asyncio.to_thread(_look, image)
                if not known and shown is None:
                    logger.warning("nothing to start with", extra={"object": object_id})
                self._targets.start(
                    object_id,
                    track_id=box_id,
                    frame_id=frame_id,
                    picture=shown,
                    now_s=self._clock(),
                )
            case wire.Stop(object_id):
                self._targets.stop(object_id)
                self._outbox.forget(object_id)
            case wire.FeatureMap(object_id, descriptor):
                self._targets.feature_map(object_id, descriptor, now_s=self._clock())
            case wire.Told(kind, text):
                logger.info("the site says %s", kind, extra={"text": text})


def _read(file: Path | None) -> str:
    """A token as its file has it now; empty where there is none."""
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("no token", extra={"why": str(error)})
        return ""


def _look(image: str) -> Descriptor | None:
    decoded = wire.picture(image)
    return None if decoded is None else of_picture(decoded)
