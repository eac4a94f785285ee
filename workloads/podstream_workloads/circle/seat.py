"""One connection of the circle workload: its peer and, for TCP signalling, the task that talks."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Protocol

from av import VideoFrame

from podstream_workloads.agent import WorkloadContext
from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.estimators import Point
from podstream_workloads.circle.game import Game
from podstream_workloads.circle.player import Player
from podstream_workloads.circle.truth import Truth
from podstream_workloads.circle.uploads import Uploads
from podstream_workloads.media.peer import ClientPeer


class Host(Protocol):
    """Whose seat it is: the workload."""

    @property
    def game(self) -> Game:
        """Makes streams for players."""

    @property
    def uploads(self) -> Uploads:
        """Makes receivers for publishers."""

    @property
    def context(self) -> WorkloadContext:
        """Is told what becomes of the connection."""

    def left(self, connection_id: str) -> bool:
        """Forget the seat; whether it was there."""

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """Score an estimate."""

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """Count a frame."""


class Seat:
    """Opened once, closed once. Implements the events of players and of publishers."""

    def __init__(self, host: Host, connection_id: str, *, hold_first: bool) -> None:
        self._host = host
        self._hold_first = hold_first
        self._peer: ClientPeer | None = None
        self._player: Player | None = None
        self._task: asyncio.Task[None] | None = None
        self.connection_id = connection_id

    def open(self) -> Player:
        """Make the peer connection of a player."""
        stream = self._host.game.stream(
            hold_first=self._hold_first, on_first_sent=self._first_frame_sent
        )
        self._player = Player(stream, events=self)
        self._peer = self._player
        return self._player

    def open_upload(self) -> ClientPeer:
        """Make the peer connection of a publisher."""
        self._peer = self._host.uploads.publisher(self)
        return self._peer

    def serve(self, talk: Coroutine[None, None, None]) -> None:
        """Run the signalling of this connection."""
        self._task = asyncio.create_task(talk)

    async def close(self) -> None:
        """End the connection; nothing of it is left."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._peer is not None:
            await self._peer.close()
            self._over()

    def _over(self) -> None:
        source = self._host.uploads if self._player is None else self._host.game
        source.connection_over()

    # -- events of the peer

    def established(self) -> None:
        """The client is there."""
        if self._player is not None:
            self._host.game.ledger.codec = self._player.codec
        else:
            self._host.uploads.established()
        self._host.context.established(self.connection_id)

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """The client says where it saw the ball."""
        self._host.estimated(estimate, truth, now=now)

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """The server has looked at one of the client's frames."""
        self._host.looked(frame, found, now=now)

    def first_frame(self) -> None:
        """The first picture of the client is there."""
        self._host.context.first_frame()

    def lost(self, reason: str) -> None:
        """The client is gone."""
        if self._host.left(self.connection_id):
            if self._task is not None:
                self._task.cancel()
            self._over()
            self._host.context.lost(self.connection_id, reason=reason)

    def _first_frame_sent(self) -> None:
        if self._player is not None:
            self._player.first_frame_sent()
        self._host.context.first_frame()
