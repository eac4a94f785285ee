"""Reads one socket: lets its peer in, hands its messages to the desk, and survives all of them.

A peer that sends too fast is read more slowly, which its own TCP connection feels; its neighbours
do not, because every few messages the event loop gets its turn.
"""

import asyncio
import logging
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType

from podstream_workloads.tracking.orchestrator import messages
from podstream_workloads.tracking.orchestrator.admission import UNAUTHENTICATED
from podstream_workloads.tracking.orchestrator.clock import Clock
from podstream_workloads.tracking.orchestrator.desk import Desk
from podstream_workloads.tracking.orchestrator.errors import Refused, TokenRefused
from podstream_workloads.tracking.orchestrator.messages import Incoming
from podstream_workloads.tracking.orchestrator.peer import Peer, Socket
from podstream_workloads.tracking.orchestrator.rate import Rate
from podstream_workloads.tracking.orchestrator.settings import OrchestratorSettings

logger = logging.getLogger(__name__)

_TURN: Final = 8  # messages of one peer in a row
_LOG_PER_S: Final = 20.0  # lines about the messages of one peer
_LOG_BURST: Final = 200


class Connection:
    """One peer and what it says."""

    def __init__(
        self, peer: Peer, *, desk: Desk, settings: OrchestratorSettings, clock: Clock
    ) -> None:
        self._peer = peer
        self._desk = desk
        self._settings = settings
        self._clock = clock
        limits = settings.limits
        now = clock.monotonic()
        self._reading = Rate(per_s=limits.messages_per_s, burst=limits.burst_messages, now=now)
        self._logging = Rate(per_s=_LOG_PER_S, burst=_LOG_BURST, now=now)
        self._unlogged = 0

    def try_header(self, header: str | None) -> None:
        """Take a bearer token of the request; a bad one leaves the first message to come."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() == "bearer" and self._peer.admission.check is not None:
            self._authenticate(token.strip())

    async def serve(self, socket: Socket) -> None:
        """Read until the connection ends."""
        turn = 0
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                await self._end(message.data)
                break
            if self._peer.parting:
                continue
            turn = (turn + 1) % _TURN
            wait_s = self._reading.wait_s(self._clock.monotonic())
            if wait_s > 0 or turn == 0:
                await asyncio.sleep(wait_s)
            try:
                await self._take(message)
            except Exception:
                logger.exception("message failed", extra={"peer": self._peer.name})
        if self._unlogged:
            self._log(logging.INFO, "more messages were not logged", str(self._unlogged))

    async def _end(self, error: object) -> None:
        """The peer has broken WebSocket's rules; aiohttp has closed, but for what is too big."""
        if getattr(error, "code", None) == WSCloseCode.MESSAGE_TOO_BIG:
            self._peer.part(WSCloseCode.MESSAGE_TOO_BIG, "message too big")
            # The rest is still coming. Closing with unread data would reset the connection, and the
            # peer might never read why; aiohttp discards what comes meanwhile.
            await self._peer.gone()

    async def _take(self, message: WSMessage) -> None:
        if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return
        kind = None
        try:
            incoming = _parsed(message)
            kind = messages.word(messages.given(incoming.type, "type"))
            level = logging.DEBUG if kind == "boundingBoxes" else logging.INFO
            if kind != "authenticate":  # a token is a secret
                self._log(level, "received", message.data)
            if kind == "authenticate" and self._peer.admission.check is not None:
                self._take_token(incoming)
            elif not self._peer.admission.admitted:
                self._refuse_stranger()
            else:
                await self._desk.take(self._peer, kind or "", incoming)
        except Refused as refused:
            self._log(logging.WARNING, f"ignored: {refused}", "" if kind else message.data)
            if not self._peer.admission.admitted and refused.code != "NotJson":
                self._refuse_stranger()
                return
            self._peer.tell_refused(refused.code, str(refused))

    def _take_token(self, incoming: Incoming) -> None:
        if self._settings.compat and self._peer.admission.admitted:
            raise Refused("UnknownType", "unknown type: authenticate")
        self._authenticate(messages.word(incoming.jwt))

    def _authenticate(self, token: str | None) -> None:
        known = self._peer.admission.admitted
        try:
            self._peer.admission.present(token)
        except TokenRefused as refused:
            self._log(logging.WARNING, str(refused))
            self._peer.tell_refused("TokenRefused", str(refused))
            return
        if not known:
            logger.info("authenticated", extra={"peer": self._peer.name})
            self._desk.admitted(self._peer)

    def _refuse_stranger(self) -> None:
        """Anything but a token before the first valid one ends the connection."""
        if self._settings.compat:
            self._peer.part(None)
        else:
            self._peer.part(UNAUTHENTICATED, "authenticate first")

    def _log(self, level: int, what: str, text: str | bytes = "") -> None:
        """Log about a message, as far as the peer's share of the log goes."""
        if not logger.isEnabledFor(level):
            return
        if not self._logging.allows(self._clock.monotonic()):
            self._unlogged += 1
            return
        fields = {"peer": self._peer.name, "text": messages.shorten(text) or None}
        if self._unlogged:
            fields["unlogged"], self._unlogged = str(self._unlogged), 0
        logger.log(level, what, extra=fields)


def _parsed(message: WSMessage) -> Incoming:
    """A message, also one that came as binary, which Tracktech takes as well."""
    text = message.data
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise Refused("NotJson", "not UTF-8") from error
    return messages.parse(text)
