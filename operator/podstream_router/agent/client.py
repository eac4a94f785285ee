"""What the router asks of agents.

Expected answers are values; what the client must be told is a `Refusal`; what may pass is
`TryAgain`.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from podstream_core.agentapi import (
    AgentState,
    AssignRequest,
    ConnectionGrant,
    MediaPath,
    SessionRef,
)
from podstream_core.tokens import SigningKey, TokenType, pod_audience
from podstream_router.agent.artefacts import Artefact, open_artefact
from podstream_router.agent.stream import PodStream, RawStream, open_raw_stream, open_stream
from podstream_router.agent.transport import Transport, refuse
from podstream_router.errors import PodFailed, TryAgain
from podstream_router.routes import PodRoute

ASSIGN_TIMEOUT_S: Final = 3.0
"""The agent answers within half a second, or there is another pod to try."""
DRAIN_TIMEOUT_S: Final = 3.0
MOVE_TIMEOUT_S: Final = 2.0
_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class WhepAnswer:
    """A slot was taken."""

    connection: str
    sdp: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """The pod works for the session."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The pod works for another session, or takes none any more."""

    message: str


class _Artefacts(msgspec.Struct):
    items: list[dict[str, Any]]


class AgentClient:
    """Calls agents over the pod network."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def assign(
        self,
        pod: PodRoute,
        *,
        assignment_id: str,
        session: SessionRef,
        spec: Mapping[str, Any],
    ) -> Assigned | Lost:
        """Give a session to an idle pod. The same id again has the same answer.

        Raises:
            TryAgain: the agent does not answer; it may have taken the session all the same.
            PodFailed: the pod cannot serve this session, or does not keep the contract.
        """
        claims = {
            "assignmentId": assignment_id,
            "session": session.to_body(),
            "spec": spec,
        }

        def make_body(signer: SigningKey) -> dict[str, Any]:
            token = signer.sign(
                TokenType.ASSIGNMENT,
                audience=pod_audience(pod.uid),
                subject=assignment_id,
                claims=claims,
            )
            return AssignRequest(token=token).to_body()

        reply = await self._transport.with_token_in_body(
            pod, "/assign", make_body=make_body, timeout_s=ASSIGN_TIMEOUT_S
        )
        if reply.status == _CONFLICT:
            return Lost(reply.failure().message)
        if reply.status != _OK:
            body = reply.failure()
            message = f"the pod does not take the session: {body.error}: {body.message}"
            raise (TryAgain if reply.status >= 500 else PodFailed)(message)  # noqa: PLR2004
        state = _read_state(reply.body)
        if (state.pod_uid, state.assignment_id) != (pod.uid, assignment_id):
            raise TryAgain(f"another pod answers at {pod.ip}")
        return Assigned()

    async def state(self, pod: PodRoute) -> AgentState:
        """What the agent says of its session.

        Raises:
            TryAgain: the agent does not answer.
            PodFailed: its answer cannot be used.
        """
        reply = await self._transport.as_control(pod, "GET", "/state?confirm=false")
        if reply.status != _OK:
            refuse(reply.status, reply.failure())
        return _read_state(reply.body)

    def open_artefact(
        self, pod: PodRoute, *, name: str, wanted: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Artefact]:
        """Read a finished file or a part of it; see `agent.artefacts.open_artefact`."""
        return open_artefact(self._transport, pod, name=name, wanted=wanted)

    async def artefacts(self, pod: PodRoute) -> list[dict[str, Any]]:
        """Name, size in bytes and SHA-256 of each finished file.

        Raises:
            TryAgain: the agent does not answer.
            PodFailed: its answer cannot be used.
        """
        reply = await self._transport.as_control(pod, "GET", "/results")
        if reply.status != _OK:
            refuse(reply.status, reply.failure())
        try:
            return msgspec.json.decode(reply.body, type=_Artefacts).items
        except msgspec.DecodeError as error:
            raise PodFailed(f"the pod's list of files cannot be read: {error}") from error

    async def drain(self, pod: PodRoute, *, reason: str, message: str) -> None:
        """Tell the pod to end its session, with every connection.

        Raises:
            TryAgain: the agent does not answer.
            Refusal: the agent refuses.
        """
        reply = await self._transport.as_control(
            pod,
            "POST",
            "/drain",
            body={"reason": reason, "message": message},
            timeout_s=DRAIN_TIMEOUT_S,
        )
        if reply.status not in (_OK, _ACCEPTED):
            refuse(reply.status, reply.failure())

    async def move_media(self, pod: PodRoute, *, path: MediaPath) -> bool:
        """Have a client's media sent elsewhere; false where the pod has no such connection.

        Raises:
            TryAgain: the agent does not answer.
            PodFailed: the agent does not accept this router.
        """
        reply = await self._transport.as_control(
            pod, "POST", "/media-path", body=path.to_body(), timeout_s=MOVE_TIMEOUT_S
        )
        return reply.status == _OK

    async def connect_whep(self, pod: PodRoute, *, grant: ConnectionGrant, sdp: str) -> WhepAnswer:
        """Offer a WebRTC connection.

        Raises:
            TryAgain: the agent does not answer, or the workload is not ready.
            Refusal: the slot is taken, the session is over, or the offer does not fit.
        """
        reply = await self._transport.as_connection(pod, grant, "POST", "/whep", body=sdp.encode())
        if reply.status != _CREATED:
            refuse(reply.status, reply.failure())
        if not reply.connection:
            raise PodFailed("the session's pod named no connection")
        return WhepAnswer(reply.connection, reply.body.decode(errors="replace"))

    async def end_whep(self, pod: PodRoute, *, grant: ConnectionGrant, connection: str) -> bool:
        """End a WebRTC connection; false where the agent does not know it.

        Raises:
            TryAgain: the agent does not answer.
            Refusal: the agent refuses.
        """
        reply = await self._transport.as_connection(pod, grant, "DELETE", f"/whep/{connection}")
        if reply.status in (404, 410):
            return False
        if not 200 <= reply.status < 300:  # noqa: PLR2004
            refuse(reply.status, reply.failure())
        return True

    async def open_stream(self, pod: PodRoute, *, grant: ConnectionGrant) -> PodStream:
        """Connect to the workload's byte stream; the caller closes it.

        Raises:
            TryAgain: the agent does not answer, or the workload is not ready.
            Refusal: the slot is taken or the session is over.
        """
        return await open_stream(self._transport, pod, grant=grant)

    async def open_raw_stream(self, pod: PodRoute, *, grant: ConnectionGrant) -> RawStream:
        """Connect to the workload's byte stream as a plain socket; the caller closes it.

        Raises:
            TryAgain: the agent does not answer, or the workload is not ready.
            Refusal: the slot is taken or the session is over.
        """
        return await open_raw_stream(self._transport, pod, grant=grant)


def _read_state(body: bytes) -> AgentState:
    try:
        return msgspec.json.decode(body, type=AgentState)
    except msgspec.DecodeError as error:
        raise PodFailed(f"the state of the session's pod cannot be read: {error}") from error
