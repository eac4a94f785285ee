"""The circle workload as the agent runs it: one player, over WHEP or the original's signalling."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import ClassVar

from aiortc import RTCSessionDescription

from podstream_core.agentapi import Protocol
from podstream_core.api import Circle, SessionSpec
from podstream_workloads.agent import (
    Artefact,
    BadOffer,
    Connection,
    NotReady,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadResults,
)
from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.game import Game
from podstream_workloads.circle.ledger import PLOT_NAME, TABLE_NAME, stdout
from podstream_workloads.circle.offers import check_offer
from podstream_workloads.circle.player import Player
from podstream_workloads.circle.score import Scored
from podstream_workloads.circle.signalling import (
    MAX_LINE,
    Bye,
    SignallingChannel,
    SignallingError,
)
from podstream_workloads.circle.truth import Truth
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.install import use_encoders
from podstream_workloads.media.encoders.settings import EncoderSettings, encoder_settings
from podstream_workloads.media.logs import quiet_libraries

logger = logging.getLogger(__name__)

_ANSWER_TIMEOUT_S = 30.0
"""How long a client of the TCP signalling may take to answer the offer."""


class CircleWorkload(Workload):
    """Serves one player at a time."""

    name: ClassVar[str] = "circle"
    roles: ClassVar[Mapping[str, int]] = MappingProxyType({"player": 1})

    def __init__(self, *, on_scored: Callable[[Scored], None] | None = None) -> None:
        self._on_scored = on_scored
        self._context: WorkloadContext | None = None
        self._game: Game | None = None
        self._pod_ice: aiortc_private.PodIce | None = None
        self._seats: dict[str, _Seat] = {}
        self._finite = False
        self._final = False

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session; a client can connect at once."""
        circle = spec.circle
        if circle is None:
            raise SpecRejected("spec.circle is not set")
        if 2 * circle.ball.radius >= min(circle.width, circle.height):
            raise SpecRejected("the ball does not fit: spec.circle.ball.radius is too large")
        bitrate, estimator = circle.bitrate, circle.estimator
        if 0 < bitrate.max_kbps < bitrate.min_kbps:
            raise SpecRejected("spec.circle.bitrate: minKbps is more than maxKbps")
        if estimator.max_radius < estimator.min_radius:
            raise SpecRejected("spec.circle.estimator: minRadius is more than maxRadius")
        quiet_libraries()
        media = context.media
        aiortc_private.keep_history()
        use_encoders(_encoder_settings(circle))
        self._pod_ice = aiortc_private.PodIce(
            pod_uid=media.pod_uid, host=media.host, ports=media.ports
        )
        self._game = Game(circle, folder=context.artefact_dir, out=stdout())
        self._finite = circle.frames > 0
        self._context = context
        context.ready()

    @property
    def is_finite(self) -> bool:
        """Whether a number of frames was asked for."""
        return self._finite

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Answer a player's offer."""
        check_offer(offer_sdp)
        seat = self._take_seat(connection, hold_first=False)
        try:
            with aiortc_private.gathering_at(self._ice):
                player = seat.open()
                answer = await player.answer(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        except aiortc_private.NoMediaPort as error:
            await self._leave(seat)
            raise NotReady(str(error)) from error
        except Exception as error:
            # aiortc raises whatever its parser stumbles over; the offer is the client's.
            await self._leave(seat)
            raise BadOffer(
                f"the offer cannot be used: {str(error) or type(error).__name__}"
            ) from error
        return answer.sdp

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        """Serve a client of the original's TCP signalling."""
        if connection.protocol is not Protocol.SIGNALLING:
            sock.close()
            raise UnsupportedOffer(f"workload circle does not speak {connection.protocol}")
        reader, writer = await asyncio.open_connection(sock=sock, limit=MAX_LINE)
        channel = SignallingChannel(reader, writer)
        seat = self._take_seat(connection, hold_first=True)
        seat.serve(self._signal(seat, channel))

    async def move_media(self, *, port: int, address: tuple[str, int]) -> bool:
        """Send a player's media elsewhere."""
        return self._pod_ice is not None and self._pod_ice.redirect(port, address)

    async def disconnect(self, connection_id: str) -> None:
        """End a player's connection."""
        seat = self._seats.get(connection_id)
        if seat is not None:
            await self._leave(seat)

    async def results(self) -> WorkloadResults:
        """The figures so far, and the table of frames once it is finished."""
        game = self._require_game()
        artefacts: tuple[Artefact, ...] = ()
        if self._final:
            artefacts = (
                Artefact(TABLE_NAME, game.ledger.close()),
                Artefact(PLOT_NAME, game.plot()),
            )
        return WorkloadResults(game.results(), artefacts)

    async def drain(self) -> None:
        """End all connections and finish the table."""
        await asyncio.gather(*(self._leave(seat) for seat in list(self._seats.values())))
        if self._game is not None:
            self._game.ledger.close()
            self._final = True

    # -- seats: one per connection

    def _take_seat(self, connection: Connection, *, hold_first: bool) -> "_Seat":
        seat = _Seat(self, connection.id, hold_first=hold_first)
        self._seats[connection.id] = seat
        return seat

    async def _leave(self, seat: "_Seat") -> None:
        self._seats.pop(seat.connection_id, None)
        await seat.close()

    async def _signal(self, seat: "_Seat", channel: SignallingChannel) -> None:
        """Offer, take the answer, and stay until the client leaves."""
        reason = "the client left"
        try:
            with aiortc_private.gathering_at(self._ice):
                player = seat.open()
                offer = await player.offer()
            await channel.send(offer)
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                answer = await channel.receive()
            if not isinstance(answer, Bye):
                logger.info("offer received" if answer.type == "offer" else "signal consumed")
                await player.accept(answer)
                while not isinstance(await channel.receive(), Bye):
                    pass
            logger.info("goodbye")
        except TimeoutError:
            reason = f"no answer within {_ANSWER_TIMEOUT_S:.0f} s"
        except (SignallingError, OSError, ValueError, aiortc_private.NoMediaPort) as error:
            reason = str(error) or type(error).__name__
        finally:
            await channel.send_bye()
            await channel.close()
        await self._leave_lost(seat, reason)

    async def _leave_lost(self, seat: "_Seat", reason: str) -> None:
        if self._seats.pop(seat.connection_id, None) is None:
            return
        await seat.close()
        self._require_context().lost(seat.connection_id, reason=reason)

    # -- what players report

    def _estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        game, context = self._require_game(), self._require_context()
        was_done = game.ledger.is_done
        scored = game.estimated(estimate, truth, now=now)
        if scored is not None and self._on_scored is not None:
            self._on_scored(scored)
        context.results_changed()
        if game.ledger.is_done and not was_done:
            context.done()

    @property
    def _ice(self) -> aiortc_private.PodIce:
        if self._pod_ice is None:
            raise NotReady("the workload has no session yet")
        return self._pod_ice

    def _require_game(self) -> Game:
        if self._game is None:
            raise NotReady("the workload has no session yet")
        return self._game

    def _require_context(self) -> WorkloadContext:
        if self._context is None:
            raise NotReady("the workload has no session yet")
        return self._context


def _encoder_settings(circle: Circle) -> EncoderSettings:
    return encoder_settings(
        quality=circle.quality,
        width=circle.width,
        height=circle.height,
        fps=circle.fps,
        min_kbps=circle.bitrate.min_kbps,
        max_kbps=circle.bitrate.max_kbps,
    )


class _Seat:
    """One connection: its player and, for TCP signalling, the task that talks to the client."""

    def __init__(self, workload: CircleWorkload, connection_id: str, *, hold_first: bool) -> None:
        self._workload = workload
        self._hold_first = hold_first
        self._player: Player | None = None
        self._task: asyncio.Task[None] | None = None
        self.connection_id = connection_id

    def open(self) -> Player:
        """Make the peer connection."""
        game = self._workload._require_game()
        stream = game.stream(hold_first=self._hold_first, on_first_sent=self._first_frame_sent)
        self._player = Player(stream, events=self)
        return self._player

    def serve(self, talk: Coroutine[None, None, None]) -> None:
        """Run the signalling of this connection."""
        self._task = asyncio.create_task(talk)

    async def close(self) -> None:
        """End the connection; nothing of it is left."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._player is not None:
            await self._player.close()
            self._game_over()

    def _game_over(self) -> None:
        game = self._workload._game
        if game is not None:
            game.connection_over()

    # -- PlayerEvents

    def established(self) -> None:
        """The client is there."""
        if self._player is not None:
            self._workload._require_game().ledger.codec = self._player.codec
        self._workload._require_context().established(self.connection_id)

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """The client says where it saw the ball."""
        self._workload._estimated(estimate, truth, now=now)

    def lost(self, reason: str) -> None:
        """The client is gone."""
        workload = self._workload
        if workload._seats.pop(self.connection_id, None) is not None:
            if self._task is not None:
                self._task.cancel()
            self._game_over()
            workload._require_context().lost(self.connection_id, reason=reason)

    def _first_frame_sent(self) -> None:
        if self._player is not None:
            self._player.first_frame_sent()
        self._workload._require_context().first_frame()
