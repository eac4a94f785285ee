"""An ICE connection that follows its peer when the way to it changes.

A session pod is reached through the router, and every router replica has an address of its own
towards the pod. When another replica begins to forward a client, its packets reach the pod from a
new address. Stock aioice answers a check from there, but as the controlled side it goes on sending
to the old address until consent expires, half a minute later. Two things move the path instead:

* *Proof by the peer*: an address whose check carried our password and that has answered ours takes
  over once the path in use has been silent (`seconds_until_takeover`). Needs nobody's help, but the
  peer has to send a check: aioice does so every four to six seconds.
* *An order of the router* (`redirect`), which has seen the client's packets arrive elsewhere. At
  once; ICE's own consent checks (RFC 7675) follow the new path and end it if nobody answers.

Whatever runs above (DTLS, SRTP, SCTP) asks ICE for the path with every packet it sends, so it
notices nothing. Like `aiortc_private`, this module touches private names of aioice; they are tested
in tests/media/test_aiortc_private.py.
"""

import asyncio
import logging
from typing import Any, Final

import aioice.ice
import aioice.stun
from aioice.candidate import Candidate, candidate_priority

logger = logging.getLogger(__name__)

SILENT_S: Final = 0.75
"""No datagram on the path in use for so long: a path that came up since may take over."""
ALTERNATIVE_SILENT_S: Final = 3.0
"""The same for a path that was there beside the one in use. A browser checks all its paths every
few seconds and may send nothing but a receiver report a second on the chosen one (RFC 3550: at most
1.5 s apart here): its choice must not be overruled by a pause."""
OVERLAP_S: Final = 0.25
"""Packets of the old way that may still arrive after the first ones of the new."""
MAX_PATHS: Final = 32
"""Addresses of the peer that are remembered; one that is dropped is learnt again by its check."""

_COMPONENT: Final = 1
"""RTP and RTCP share one component (rtcp-mux, RFC 5761)."""

Address = tuple[str, int]


def seconds_until_takeover(*, heard_at: float, appeared_at: float, now: float) -> float:
    """How long a proven path must still wait before it replaces the one in use.

    Args:
        heard_at: last datagram of the path in use, monotonic seconds.
        appeared_at: first check of the other path.
        now: the same clock.

    Returns:
        Seconds; 0 or less when it may take over now.
    """
    is_successor = appeared_at > heard_at - OVERLAP_S
    return heard_at + (SILENT_S if is_successor else ALTERNATIVE_SILENT_S) - now


class HeardProtocol(aioice.ice.StunProtocol):
    """Tells its connection who sends."""

    def __init__(self, connection: "TakeoverConnection") -> None:
        super().__init__(connection)
        self._connection = connection

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Note the sender, then handle the datagram as aioice does."""
        self._connection.heard((addr[0], addr[1]))
        super().datagram_received(data, addr)


class TakeoverConnection(aioice.ice.Connection):
    """Follows its peer to a new address; give it endpoints of `HeardProtocol`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0
        self._appeared: dict[Address, float] = {}
        self._asking: aioice.ice.CandidatePair | None = None
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def path(self) -> Address | None:
        """Where media goes now; `None` before ICE has completed and after the end."""
        active = self._nominated.get(_COMPONENT)
        return None if active is None else active.remote_addr

    def redirect(self, address: Address) -> bool:
        """Send from now on to this address; false while there is no path to replace."""
        active = self._nominated.get(_COMPONENT)
        if active is None:
            return False
        if active.remote_addr != address:
            pair = self._find_path(address, active.protocol) or self._add_path(
                address, active.protocol
            )
            pair.state = pair.State.SUCCEEDED
            self._take(pair, why="the router moved it")
        return True

    def heard(self, addr: Address) -> None:
        """Called for every datagram."""
        active = self._nominated.get(_COMPONENT)
        if active is not None and active.remote_addr == addr:
            self._heard_at = self._loop.time()

    def check_incoming(
        self, message: aioice.stun.Message, addr: Address, protocol: aioice.ice.StunProtocol
    ) -> None:
        """Handle a check; its integrity under our password has been verified by now."""
        super().check_incoming(message, addr, protocol)
        pair = self._find_path(addr, protocol)
        if pair is None:
            return
        now = self._loop.time()
        self._appeared.setdefault(addr, now)
        if pair is not self._nominated.get(_COMPONENT):
            self._asking, self._asked_at = pair, now
            self._consider()
        if len(self._check_list) > MAX_PATHS:
            self._forget_paths()

    def check_complete(self, pair: aioice.ice.CandidatePair) -> None:
        """Our own check of an address was answered, or failed."""
        before = self._nominated.get(_COMPONENT)
        super().check_complete(pair)
        if self._nominated.get(_COMPONENT) is not before:
            # What was just chosen has just been heard.
            self._heard_at = self._loop.time()
        elif pair is self._asking:
            self._consider()

    async def close(self) -> None:
        """Close the connection and its timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._asking = None
        await super().close()

    def _consider(self) -> None:
        """Let the path that asked last take over, now or once the silence has lasted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pair, active = self._asking, self._nominated.get(_COMPONENT)
        if pair is None or active is None or pair is active:
            return
        if pair.state is not pair.State.SUCCEEDED:
            return  # `check_complete` comes back to it
        if self._heard_at > self._asked_at + OVERLAP_S:
            self._asking = None  # the path in use lives
            return
        appeared_at = self._appeared.get(pair.remote_addr, self._asked_at)
        now = self._loop.time()
        wait_s = seconds_until_takeover(heard_at=self._heard_at, appeared_at=appeared_at, now=now)
        if wait_s > 0:
            self._timer = self._loop.call_later(wait_s, self._consider)
        else:
            self._take(pair, why="the old one is silent")

    def _take(self, pair: aioice.ice.CandidatePair, *, why: str) -> None:
        logger.info(
            "media path moved", extra={"from": self.path, "to": pair.remote_addr, "why": why}
        )
        pair.nominated = True
        self._nominated[_COMPONENT] = pair
        self._heard_at = self._loop.time()
        self._asking = None
        if len(self._check_list) > MAX_PATHS:
            self._forget_paths()

    def _find_path(
        self, address: Address, protocol: aioice.ice.StunProtocol
    ) -> aioice.ice.CandidatePair | None:
        for pair in self._check_list:
            if pair.protocol is protocol and pair.remote_addr == address:
                return pair
        return None

    def _add_path(
        self, address: Address, protocol: aioice.ice.StunProtocol
    ) -> aioice.ice.CandidatePair:
        candidate = Candidate(
            foundation=f"{address[0]}-{address[1]}",
            component=_COMPONENT,
            transport="udp",
            priority=candidate_priority(_COMPONENT, "prflx"),
            host=address[0],
            port=address[1],
            type="prflx",
        )
        pair = aioice.ice.CandidatePair(protocol, candidate)
        self._remote_candidates.append(candidate)
        self._check_list.append(pair)
        self.sort_check_list()
        return pair

    def _forget_paths(self) -> None:
        """Drop what is neither in use nor being checked; a path in use is learnt again."""
        used = (self._nominated.get(_COMPONENT), self._asking)
        kept = [pair for pair in self._check_list if pair in used or pair.task is not None]
        candidates = [pair.remote_candidate for pair in kept]
        self._check_list[:] = kept
        self._remote_candidates[:] = [
            item for item in self._remote_candidates if any(item is one for one in candidates)
        ]
        addresses = {pair.remote_addr for pair in kept}
        self._appeared = {key: at for key, at in self._appeared.items() if key in addresses}
