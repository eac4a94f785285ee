"""Who may connect: slots per (workload, role), kept for a client that comes back.

A session is one client's: while somebody has a slot of one workload, the others take nobody else.
Within a workload its roles say how many clients there are.

A slot is taken by a holder, not by a connection: it outlives a lost connection for `reconnect_s`,
and a holder that tries again before media came up takes the place of its own attempt. While its
connection is established the holder is refused like everybody else: a second client with the same
token must not cut the first one off. A connection that was never established gives its slot back
at once, unless the slot had been established before. Observers (viewers) are counted like all
others, but the session does not live by them, and their slots are free as soon as they leave. Where
a role has several slots and all are taken, a reservation that nobody can claim gives way. The gate
knows no clock; every call gets `now` in seconds of a monotonic one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from podstream_core.agentapi import ANONYMOUS, ConnectionGrant, ConnectionInfo


class SlotKind(NamedTuple):
    """What is counted."""

    workload: str
    role: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The connection has a slot."""

    replaces: str | None = None
    """Connection of the same holder that has lost its slot to this one and must be closed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection has no slot."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """What the passing of time has done."""

    expired: tuple[str, ...] = ()
    """Slots that nobody came back to, by their last connection."""
    overdue: tuple[str, ...] = ()
    """Connections that were not established in time; the caller ends and releases them."""


@dataclass(slots=True)
class _Slot:
    kind: SlotKind
    grant: ConnectionGrant
    connection_id: str
    since: datetime
    is_observer: bool
    establish_by: float | None
    """Set while a connection is admitted but not established."""
    reserved_until: float | None = None
    """Set while no connection is there."""
    was_established: bool = False

    @property
    def is_connected(self) -> bool:
        return self.reserved_until is None

    @property
    def is_established(self) -> bool:
        return self.is_connected and self.establish_by is None

    @property
    def deadline(self) -> float | None:
        return self.establish_by if self.is_connected else self.reserved_until


class Gate:
    """The slots of one session."""

    def __init__(self, *, reconnect_s: float, establish_s: float) -> None:
        self._reconnect_s = reconnect_s
        self._establish_s = establish_s
        self._capacity: dict[SlotKind, int] = {}
        self._observers: set[SlotKind] = set()
        self._slots: list[_Slot] = []
        self._was_connected = False

    @property
    def is_taken(self) -> bool:
        """Whether a client is connected or may still return; observers do not count."""
        return any(not slot.is_observer for slot in self._slots)

    @property
    def was_connected(self) -> bool:
        """Whether any connection but an observer's was ever established."""
        return self._was_connected

    @property
    def capacities(self) -> Mapping[SlotKind, int]:
        """Slots there are, by kind."""
        return self._capacity

    def add_workload(
        self, workload: str, *, roles: Mapping[str, int], observers: Collection[str] = ()
    ) -> None:
        """Open the slots of a workload.

        Args:
            workload: its name.
            roles: slots there are, by role.
            observers: roles that only look on.
        """
        for role, capacity in roles.items():
            self._capacity[SlotKind(workload, role)] = capacity
        self._observers |= {SlotKind(workload, role) for role in observers}

    def is_observer(self, grant: ConnectionGrant) -> bool:
        """Whether a connection would only look on."""
        return SlotKind(grant.workload, grant.role) in self._observers

    def remove_workload(self, workload: str) -> None:
        """Close the slots of a workload that is gone, with all who hold them."""
        self._capacity = {
            kind: capacity for kind, capacity in self._capacity.items() if kind.workload != workload
        }
        self._slots = [slot for slot in self._slots if slot.kind.workload != workload]

    def admit(
        self, grant: ConnectionGrant, *, connection_id: str, since: datetime, now: float
    ) -> Admitted | Refused:
        """Give a connection its slot, or say why not."""
        kind = SlotKind(grant.workload, grant.role)
        if kind not in self._capacity:
            return Refused(
                "UnknownRole",
                f"this session has no role {grant.role!r} of workload {grant.workload!r}",
            )
        self.tick(now)
        strangers = [
            slot
            for slot in self._slots
            if slot.kind.workload != grant.workload
            and not slot.is_observer
            and not slot.grant.is_of_client(grant)
        ]
        if strangers and kind not in self._observers:
            return Refused("Busy", self._describe_busy(kind, strangers, now))
        same_kind = [slot for slot in self._slots if slot.kind == kind]
        own = next((slot for slot in same_kind if slot.grant.holder == grant.holder), None)
        establish_by = now + self._establish_s
        if own is not None and own.is_established:
            return Refused("Busy", self._describe_busy(kind, same_kind, now))
        if own is not None:
            replaces = own.connection_id if own.is_connected else None
            own.grant, own.connection_id, own.since = grant, connection_id, since
            own.establish_by, own.reserved_until = establish_by, None
            return Admitted(replaces)
        if len(same_kind) >= self._capacity[kind] and not self._make_room(kind, same_kind):
            return Refused("Busy", self._describe_busy(kind, same_kind, now))
        is_observer = kind in self._observers
        self._slots.append(_Slot(kind, grant, connection_id, since, is_observer, establish_by))
        return Admitted()

    def establish(self, connection_id: str) -> bool:
        """Note that media flows; whether the connection has a slot."""
        slot = self._find(connection_id)
        if slot is None:
            return False
        slot.establish_by = None
        slot.was_established = True
        self._was_connected |= not slot.is_observer
        return True

    def release(self, connection_id: str, *, now: float) -> bool:
        """The connection is over; whether it had the slot until now.

        A connection that was replaced by its holder's next one has no slot any more.
        """
        slot = self._find(connection_id)
        if slot is None:
            return False
        if slot.was_established and self._reconnect_s > 0 and not slot.is_observer:
            slot.establish_by, slot.reserved_until = None, now + self._reconnect_s
        else:
            self._slots.remove(slot)
        return True

    def tick(self, now: float) -> Tick:
        """Let reservations expire; name the connections that should have been established."""
        due = [slot for slot in self._slots if slot.deadline is not None and slot.deadline <= now]
        expired = [slot for slot in due if not slot.is_connected]
        overdue = [slot for slot in due if slot.is_connected]
        for slot in expired:
            self._slots.remove(slot)
        return Tick(
            tuple(slot.connection_id for slot in expired),
            tuple(slot.connection_id for slot in overdue),
        )

    def next_deadline(self) -> float | None:
        """When `tick` will have something to do next."""
        return min(
            (slot.deadline for slot in self._slots if slot.deadline is not None), default=None
        )

    def grant_of(self, connection_id: str) -> ConnectionGrant | None:
        """What the router vouched for, while the connection has its slot and is there."""
        slot = self._find(connection_id)
        return None if slot is None else slot.grant

    def connections_of(self, workload: str) -> list[str]:
        """Connections that are there, of one workload."""
        return [
            slot.connection_id
            for slot in self._slots
            if slot.kind.workload == workload and slot.is_connected
        ]

    def connections(self) -> list[ConnectionInfo]:
        """All slots that are taken, oldest first."""
        return [
            ConnectionInfo(
                id=slot.connection_id,
                workload=slot.kind.workload,
                role=slot.kind.role,
                protocol=slot.grant.protocol,
                since=slot.since,
                connected=slot.is_connected,
                client_address=slot.grant.client_address,
                observer=slot.is_observer,
            )
            for slot in self._slots
        ]

    def _make_room(self, kind: SlotKind, slots: list[_Slot]) -> bool:
        """Give up a reservation that nobody can claim, where there are several slots of a kind.

        A client without a token is not known again, so the one who returns would be shut out by
        its own reservation. With one slot it stays: it keeps the session for its client's address.
        """
        if self._capacity[kind] == 1:
            return False
        for slot in slots:
            if not slot.is_connected and slot.grant.holder.startswith(ANONYMOUS):
                self._slots.remove(slot)
                return True
        return False

    def _find(self, connection_id: str) -> _Slot | None:
        for slot in self._slots:
            if slot.connection_id == connection_id and slot.is_connected:
                return slot
        return None

    def _describe_busy(self, kind: SlotKind, slots: list[_Slot], now: float) -> str:
        if kind in self._observers or self._capacity[kind] > 1:
            return f"the session has {self._capacity[kind]} places for a {kind.role}, all taken"
        waits = [slot.reserved_until - now for slot in slots if slot.reserved_until is not None]
        if waits:
            return f"the session is kept for its client, who may return for {min(waits):.0f} s more"
        return "the session has its client already; one connection per pod"
