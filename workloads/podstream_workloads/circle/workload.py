"""The circle workload as the agent runs it: one client, over WHEP, WHIP or TCP signalling.

Or none: it may look at the frames of the session's stream instead.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

import msgspec
from aiortc import RTCSessionDescription
from av import VideoFrame

from podstream_core import names
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
from podstream_workloads.circle.estimators import Point, make_estimator
from podstream_workloads.circle.game import Game
from podstream_workloads.circle.ledger import PLOT_NAME, stdout
from podstream_workloads.circle.onlooker import Onlooker
from podstream_workloads.circle.score import Scored
from podstream_workloads.circle.seat import Seat
from podstream_workloads.circle.signalling import (
    MAX_LINE,
    Bye,
    SignallingChannel,
    SignallingError,
)
from podstream_workloads.circle.truth import Truth
from podstream_workloads.circle.uploads import Uploads
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.install import use_encoders
from podstream_workloads.media.encoders.settings import EncoderSettings, encoder_settings
from podstream_workloads.media.logs import quiet_libraries
from podstream_workloads.media.offers import check_offer, check_upload
from podstream_workloads.sharing import FrameReader

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
        self._uploads: Uploads | None = None
        self._onlooker: Onlooker | None = None
        self._pod_ice: aiortc_private.PodIce | None = None
        self._seats: dict[str, Seat] = {}
        self._finite = False
        self._final = False

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session; a client can connect at once."""
        circle = spec.circle
        if circle is None:
            raise SpecRejected("spec.circle is not set")
        _check(circle)
        quiet_libraries()
        media = context.media
        aiortc_private.keep_history()
        self._pod_ice = aiortc_private.PodIce(
            pod_uid=media.pod_uid, host=media.host, ports=media.ports
        )
        if circle.source == "Stream":
            await self._look_on(circle, context)
        elif circle.source == "Upload":
            aiortc_private.install_marker_release()
            self._uploads = Uploads(circle, folder=context.artefact_dir)
        else:
            use_encoders(_encoder_settings(circle))
            self._game = Game(
                circle,
                folder=context.artefact_dir,
                out=stdout(),
                on_sent=context.results_changed,
            )
        self._finite = circle.frames > 0
        self._context = context
        context.ready()

    async def _look_on(self, circle: Circle, context: WorkloadContext) -> None:
        """Look at the frames of the session's stream, whose process may still be starting."""
        path = context.shared_dir / names.SHARED_FRAMES
        try:
            reader = await asyncio.to_thread(FrameReader.connect, path)
        except OSError as error:
            raise SpecRejected(f"the session's stream shows no frames: {error}") from error
        self._uploads = Uploads(circle, folder=context.artefact_dir)
        self._onlooker = Onlooker(reader, make_estimator(circle.estimator), events=self)
        self._uploads.follow(self._onlooker)
        self._context = context
        self._onlooker.start()

    @property
    def capacities(self) -> Mapping[str, int]:
        """None where the frames are the stream's: its publisher is the session's client."""
        return self.roles if self._onlooker is None else {}

    @property
    def is_finite(self) -> bool:
        """Whether a number of frames was asked for."""
        return self._finite

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Answer the offer of a player (WHEP) or a publisher (WHIP)."""
        if self._onlooker is not None:
            raise UnsupportedOffer("the session looks at the frames of its stream: publish there")
        is_upload = connection.protocol is Protocol.WHIP
        if is_upload is not (self._uploads is not None):
            raise UnsupportedOffer(
                "the session looks at its client's video: publish by WHIP, at .../whip"
                if self._uploads is not None
                else "the session sends the video: play by WHEP, at .../whep, or set "
                "spec.circle.source to Upload"
            )
        (check_upload if is_upload else check_offer)(offer_sdp)
        seat = self._take_seat(connection, hold_first=False)
        try:
            with aiortc_private.gathering_at(self._ice):
                peer = seat.open_upload() if is_upload else seat.open()
                answer = await peer.answer(RTCSessionDescription(sdp=offer_sdp, type="offer"))
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
        if connection.protocol is not Protocol.SIGNALLING or self._uploads is not None:
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
        """The figures so far, and the table of frames and the drawing once it is finished."""
        source = self._uploads if self._uploads is not None else self.game
        figures = source.results()
        if not self._final:
            return WorkloadResults(figures)
        artefacts = tuple(Artefact(name, path) for name, path in source.artefacts())
        session = self.context.session
        plot = f"/s/{session.namespace}/{session.name}/results/{self.name}-{PLOT_NAME}"
        return WorkloadResults(msgspec.structs.replace(figures, plot=plot), artefacts)

    async def drain(self) -> None:
        """End all connections and finish the table."""
        await asyncio.gather(*(self._leave(seat) for seat in list(self._seats.values())))
        if self._onlooker is not None:
            await self._onlooker.close()
        if self._game is not None:
            self._game.ledger.close()
            self._final = True
        if self._uploads is not None:
            self._uploads.close()
            self._final = True

    # -- seats: one per connection

    def _take_seat(self, connection: Connection, *, hold_first: bool) -> Seat:
        seat = Seat(self, connection.id, hold_first=hold_first)
        self._seats[connection.id] = seat
        return seat

    async def _leave(self, seat: Seat) -> None:
        self._seats.pop(seat.connection_id, None)
        await seat.close()

    async def _signal(self, seat: Seat, channel: SignallingChannel) -> None:
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

    async def _leave_lost(self, seat: Seat, reason: str) -> None:
        if self._seats.pop(seat.connection_id, None) is None:
            return
        await seat.close()
        self.context.lost(seat.connection_id, reason=reason)

    # -- what seats ask and report

    def left(self, connection_id: str) -> bool:
        """Forget a seat whose client is gone; whether it was there."""
        return self._seats.pop(connection_id, None) is not None

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """A player has said where it saw the ball."""
        game, context = self.game, self.context
        was_done = game.ledger.is_done
        scored = game.estimated(estimate, truth, now=now)
        if scored is not None and self._on_scored is not None:
            self._on_scored(scored)
        context.results_changed()
        if game.ledger.is_done and not was_done:
            context.done()

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """A frame of a publisher, or of the stream, was looked at."""
        uploads, context = self.uploads, self.context
        was_done = uploads.is_done
        uploads.looked(frame, found, now=now)
        if self._onlooker is not None:
            context.first_frame()
        context.results_changed()
        if uploads.is_done and not was_done:
            context.done()

    @property
    def _ice(self) -> aiortc_private.PodIce:
        if self._pod_ice is None:
            raise NotReady("the workload has no session yet")
        return self._pod_ice

    @property
    def game(self) -> Game:
        """The ball of a session that sends one."""
        if self._game is None:
            raise NotReady("the workload has no session yet")
        return self._game

    @property
    def uploads(self) -> Uploads:
        """What came in, of a session that looks at its client's video."""
        if self._uploads is None:
            raise NotReady("the workload has no session yet")
        return self._uploads

    @property
    def context(self) -> WorkloadContext:
        """The way to the agent."""
        if self._context is None:
            raise NotReady("the workload has no session yet")
        return self._context


def _check(circle: Circle) -> None:
    """Refuse what the schema cannot say.

    Raises:
        SpecRejected: two members contradict each other.
    """
    is_drawn = circle.source == "Generated"
    if is_drawn and 2 * circle.ball.radius >= min(circle.width, circle.height):
        raise SpecRejected("the ball does not fit: spec.circle.ball.radius is too large")
    bitrate, estimator = circle.bitrate, circle.estimator
    if 0 < bitrate.max_kbps < bitrate.min_kbps:
        raise SpecRejected("spec.circle.bitrate: minKbps is more than maxKbps")
    if estimator.max_radius < estimator.min_radius:
        raise SpecRejected("spec.circle.estimator: minRadius is more than maxRadius")


def _encoder_settings(circle: Circle) -> EncoderSettings:
    return encoder_settings(
        quality=circle.quality,
        width=circle.width,
        height=circle.height,
        fps=circle.fps,
        min_kbps=circle.bitrate.min_kbps,
        max_kbps=circle.bitrate.max_kbps,
    )
