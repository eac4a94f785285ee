"""Connections of clients: through the gate, to their workload, and to their end.

Owns the gate. The ports bring grants that are verified already; workloads report what became of
the connections. Every change of a slot is followed by `on_change`, so that the agent decides anew.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from podstream_core.agentapi import ConnectionGrant, ConnectionInfo
from podstream_workloads.agent.children import ChildGoneError
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.gate import Gate, Refused, SlotKind
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.roster import Member, Roster
from podstream_workloads.agent.workload import Connection

logger = logging.getLogger(__name__)

_CONNECTION_ID_BYTES: Final = 15


class Connections:
    """All connections of one session."""

    def __init__(
        self,
        *,
        roster: Roster,
        metrics: AgentMetrics,
        group: asyncio.TaskGroup,
        establish_s: float,
        on_change: Callable[[], None],
    ) -> None:
        """Prepare a closed gate; `open` opens it."""
        self._roster = roster
        self._metrics = metrics
        self._group = group
        self._establish_s = establish_s
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._gate = Gate(reconnect_s=0, establish_s=establish_s)
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False
        self._is_over = False
        self.first_at: datetime | None = None
        """When the first client was connected."""

    @property
    def is_taken(self) -> bool:
        """Whether a client is connected or may still return."""
        return self._gate.is_taken

    @property
    def was_connected(self) -> bool:
        """Whether any client's connection was ever established."""
        return self._gate.was_connected

    @property
    def capacities(self) -> Mapping[SlotKind, int]:
        """Slots there are."""
        return self._gate.capacities

    def infos(self) -> list[ConnectionInfo]:
        """All slots that are taken."""
        return self._gate.connections()

    def open(self, *, reconnect_s: float) -> None:
        """A session is assigned: from now on clients are told to wait, no longer refused."""
        self._gate = Gate(reconnect_s=reconnect_s, establish_s=self._establish_s)
        self._is_open = True

    def close(self) -> None:
        """The session is ending: everybody is refused from now on."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def add_workload(self, member: Member) -> None:
        """Open the slots of a workload that has taken the session."""
        self._gate.add_workload(member.name, roles=member.roles, observers=member.observers)

    def remove_workload(self, member: Member) -> None:
        """Forget all slots of a workload that is gone."""
        self._gate.remove_workload(member.name)

    def note_established(self, connection_id: str) -> None:
        """The workload reports that media flows."""
        self._gate.establish(connection_id)

    def note_lost(self, connection_id: str, *, reason: str) -> None:
        """The workload reports that a connection is over."""
        if self._gate.release(connection_id, now=self._loop.time()):
            logger.info("client lost", extra={"connection": connection_id, "reason": reason})

    def tick(self) -> None:
        """Expire what is due, and come back through `on_change` when something is due next."""
        for connection_id in self._gate.tick(self._loop.time()).overdue:
            logger.warning("connection not established", extra={"connection": connection_id})
            member = self._member_of(connection_id)
            self._gate.release(connection_id, now=self._loop.time())
            if member is not None:
                self._spawn_disconnect(member, connection_id)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._gate.next_deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._on_change)

    async def connect_whep(self, grant: ConnectionGrant, *, offer_sdp: str) -> tuple[str, str]:
        """Give a WHEP client its slot; return the connection's id and the answer.

        Raises:
            Refusal: Busy, NotReady, SessionEnded, BadOffer, UnsupportedOffer, UnknownRole,
                WorkloadGone.
        """
        member, connection, replaces = self._admit(grant)
        is_accepted = False
        try:
            async with member.connect_lock:
                await self._replace(member, replaces, by=connection)
                answer = await member.child.connect_whep(connection, offer_sdp=offer_sdp)
            self._require_slot(connection)
            is_accepted = True
        except Refusal as refusal:
            self._count_connection(grant, refusal.body.error)
            raise
        except ChildGoneError as error:
            self._count_connection(grant, "WorkloadGone")
            raise Refusal(502, "WorkloadGone", str(error)) from error
        finally:
            if not is_accepted:
                self._end_connection(member, connection.id)
        self._note_connected(grant, connection)
        return connection.id, answer

    async def open_stream(self, grant: ConnectionGrant) -> Connection:
        """Give a TCP client its slot; `hand_over` or `disconnect` must follow.

        Raises:
            Refusal: Busy, NotReady, SessionEnded, UnknownRole.
        """
        member, connection, replaces = self._admit(grant)
        is_accepted = False
        try:
            async with member.connect_lock:
                await self._replace(member, replaces, by=connection)
            is_accepted = True
        except Refusal as refusal:
            self._count_connection(grant, refusal.body.error)
            raise
        finally:
            if not is_accepted:
                self._end_connection(member, connection.id)
        return connection

    def hand_over(self, connection: Connection, sock: socket.socket) -> bool:
        """Pass an opened stream's socket to its workload; whether the workload has it.

        The caller closes its own copy in any case.
        """
        grant = self._gate.grant_of(connection.id)
        member = self._member_of(connection.id)
        if grant is None or member is None:
            return False
        try:
            member.child.pass_socket(connection, sock)
        except ChildGoneError as error:
            logger.warning("connection not handed over: %s", error)
            self._count_connection(grant, "WorkloadGone")
            self._gate.release(connection.id, now=self._loop.time())
            self._on_change()
            return False
        self._note_connected(grant, connection)
        return True

    async def disconnect(self, connection_id: str) -> bool:
        """End a connection for its client; whether there was one."""
        member = self._member_of(connection_id)
        if member is None:
            return False
        self._gate.release(connection_id, now=self._loop.time())
        self._on_change()
        await member.child.disconnect(connection_id)
        return True

    def has(self, connection_id: str) -> bool:
        """Whether a connection has its slot and is there."""
        return self._gate.grant_of(connection_id) is not None

    def _admit(self, grant: ConnectionGrant) -> tuple[Member, Connection, str | None]:
        try:
            if self._is_over:
                raise Refusal(410, "SessionEnded", "the session has ended")
            member = self._roster.get(grant.workload)
            if member is not None and member.failure is not None:
                raise Refusal(410, "SessionEnded", f"workload {grant.workload} has failed")
            if not self._is_open or (member is not None and not member.is_serving):
                raise Refusal(425, "NotReady", "the workload is starting; try again")
            connection_id = secrets.token_urlsafe(_CONNECTION_ID_BYTES)
            admission = self._gate.admit(
                grant,
                connection_id=connection_id,
                since=datetime.now(UTC),
                now=self._loop.time(),
            )
            if isinstance(admission, Refused):
                status = 409 if admission.error == "Busy" else 422
                raise Refusal(status, admission.error, admission.message)
        except Refusal as refusal:
            self._count_connection(grant, refusal.body.error)
            raise
        assert member is not None  # the gate knows the roles of running workloads only
        connection = Connection(
            id=connection_id,
            role=grant.role,
            protocol=grant.protocol,
            client_address=grant.client_address,
        )
        self.tick()  # a connection that does not come about has a deadline
        return member, connection, admission.replaces

    async def _replace(self, member: Member, old: str | None, *, by: Connection) -> None:
        if old is not None:
            logger.info("client came back", extra={"connection": by.id, "replaces": old})
            await member.child.disconnect(old)
        self._require_slot(by)

    def _require_slot(self, connection: Connection) -> None:
        if self._is_over:
            raise Refusal(410, "SessionEnded", "the session has ended")
        if self._gate.grant_of(connection.id) is None:
            message = "the connection ended or its client connected again meanwhile"
            raise Refusal(409, "Busy", message)

    def _note_connected(self, grant: ConnectionGrant, connection: Connection) -> None:
        self._count_connection(grant, "Accepted")
        if self.first_at is None and not self._gate.is_observer(grant):
            self.first_at = datetime.now(UTC)
        logger.info(
            "client connected",
            extra={
                "connection": connection.id,
                "workload": grant.workload,
                "protocol": grant.protocol.value,
                "client": grant.client_address,
            },
        )
        self._on_change()

    def _end_connection(self, member: Member, connection_id: str) -> None:
        """Release a slot whose connection did not come about or was not established."""
        self._gate.release(connection_id, now=self._loop.time())
        self._on_change()
        if not self._is_over:
            self._spawn_disconnect(member, connection_id)

    def _spawn_disconnect(self, member: Member, connection_id: str) -> None:
        work = member.child.disconnect(connection_id)
        self._group.create_task(work, name=f"end:{connection_id}")

    def _member_of(self, connection_id: str) -> Member | None:
        grant = self._gate.grant_of(connection_id)
        return None if grant is None else self._roster.get(grant.workload)

    def _count_connection(self, grant: ConnectionGrant, result: str) -> None:
        labels = (grant.workload, grant.protocol.value, result)
        self._metrics.connections.labels(*labels).inc()
