"""Owns what this replica has to say: its confirmed flows, and what each peer has not heard yet."""

import time
from collections.abc import Callable

from podstream_router.peers.messages import FlowEntry, Hearsay, PeerMessage, Source


class OwnFlows:
    """All confirmed flows of this replica, as peers learn of them."""

    def __init__(self, *, name: str, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """`name`: random id of this process."""
        self.name = name
        self.admin_port = 0
        """Port on which this replica takes messages; known once it is bound."""
        self.flows: dict[Source, FlowEntry] = {}
        self._clock_ns = clock_ns
        self._number = 0

    def message(
        self,
        *,
        flows: list[FlowEntry],
        gone: list[Source] | None = None,
        others: list[Hearsay] | None = None,
        is_all: bool = False,
        wants_all: bool = False,
    ) -> PeerMessage:
        """A message with the next number."""
        self._number = max(self._number + 1, self._clock_ns())
        return PeerMessage(
            sender=self.name,
            number=self._number,
            admin_port=self.admin_port,
            flows=flows,
            gone=gone or [],
            others=others or [],
            is_all=is_all,
            wants_all=wants_all,
        )


class Outbox:
    """What one peer has not heard yet."""

    def __init__(self, own: OwnFlows) -> None:
        self._own = own
        self._changed: dict[Source, None] = {}
        self.owes_all = True
        """The peer gets everything next."""
        self.wants_all = True
        """The peer is asked for everything next."""

    def note(self, source: Source) -> None:
        """A flow of this address began or ended."""
        self._changed[source] = None

    def take(self) -> PeerMessage:
        """What to say now; `failed` must follow where it does not arrive."""
        own, wants_all = self._own, self.wants_all
        changed, self._changed = self._changed, {}
        if self.owes_all:
            self.owes_all = False
            flows = list(own.flows.values())
            return own.message(flows=flows, is_all=True, wants_all=wants_all)
        return own.message(
            flows=[own.flows[source] for source in changed if source in own.flows],
            gone=[source for source in changed if source not in own.flows],
            wants_all=wants_all,
        )

    def failed(self) -> None:
        """The last message may not have arrived."""
        self.owes_all = True
