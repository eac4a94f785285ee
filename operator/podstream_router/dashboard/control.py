"""The acting half of the API: end, start, stop, record.

Who holds a session's token may control that session, by the router's own account and with these
changes only; a person acts with their own token, so the cluster's RBAC decides.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web

from podstream_core.agentapi import ENDED_BY_USER
from podstream_core.api import SessionKey
from podstream_router.agent import AgentClient
from podstream_router.dashboard.asking import ask, strictly
from podstream_router.dashboard.callers import Caller, Doorkeeper, Holder, Member
from podstream_router.dashboard.paths import key_of
from podstream_router.dashboard.people import Sender
from podstream_router.dashboard.reading import answer
from podstream_router.errors import BadRequest, NotReady, Overloaded, SessionEnded, TryAgain
from podstream_router.hints import Hints
from podstream_router.http import read_text
from podstream_router.routes import RouteTable, SessionRoute
from podstream_router.watch import sessions_in

MAX_ORDER_BYTES: Final = 1024
MERGE_PATCH: Final = "application/merge-patch+json"
_T = TypeVar("_T")


class StreamOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST .../stream`."""

    state: Literal["Running", "Stopped"]


class RecordingOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST .../recording`."""

    enabled: bool


class EndOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST .../end`."""


class Control:
    """Handlers."""

    def __init__(
        self,
        *,
        door: Doorkeeper,
        routes: RouteTable,
        agent: AgentClient,
        api: Sender,
        hints: Hints,
    ) -> None:
        self._door = door
        self._routes = routes
        self._agent = agent
        self._api = api
        self._hints = hints

    async def end(self, request: web.Request) -> web.Response:
        """`POST .../end`: the session ends now and keeps its results and files.

        Its agent is told, so that recordings are finished and files can still be had for
        `lingerSeconds`.
        """
        caller, key = await self._admit(request)
        await _read(request, EndOrder)
        session = self._living(key)
        if isinstance(caller, Member):
            # Whoever may not change the session may not end it either: asked with a change of
            # nothing, by the person's own token.
            await self._patch(caller, key, {"spec": {}}, dry_run=True)
        pod = self._routes.pod_for(session)
        if pod is None:
            raise NotReady("the session has no pod yet: try again, or delete the session")
        try:
            await self._agent.drain(
                pod, reason=ENDED_BY_USER, message="the session was ended by a person"
            )
        except TryAgain as error:
            raise Overloaded(f"{error}: try again") from error
        self._hints.send(key)
        return answer({}, status=202)

    async def stream(self, request: web.Request) -> web.Response:
        """`POST .../stream`: `spec.stream.state`."""
        caller, key = await self._admit(request)
        order = await _read(request, StreamOrder)
        return await self._change(caller, key, {"state": order.state})

    async def recording(self, request: web.Request) -> web.Response:
        """`POST .../recording`: `spec.stream.recording.enabled`."""
        caller, key = await self._admit(request)
        order = await _read(request, RecordingOrder)
        return await self._change(caller, key, {"recording": {"enabled": order.enabled}})

    async def _admit(self, request: web.Request) -> tuple[Caller, SessionKey]:
        caller = await self._door.identify(request)
        key = key_of(request)
        self._door.session(caller, key)
        return caller, key

    def _living(self, key: SessionKey) -> SessionRoute:
        session = self._routes.session(key)
        if session is None or session.ended:
            raise SessionEnded(session.ended if session else "the session is gone")
        return session

    async def _change(
        self, caller: Caller, key: SessionKey, stream: Mapping[str, Any]
    ) -> web.Response:
        if "stream" not in self._living(key).workloads:
            raise BadRequest(f"session {key} has no stream workload")
        await self._patch(caller, key, {"spec": {"stream": stream}})
        self._hints.send(key)
        return answer({}, status=202)

    async def _patch(
        self, caller: Caller, key: SessionKey, patch: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        await ask(
            self._api,
            "PATCH",
            f"{sessions_in(key.namespace).path}/{key.name}",
            token=None if isinstance(caller, Holder) else caller.person.token,
            query=strictly(dry_run=dry_run),
            body=patch,
            content_type=MERGE_PATCH,
        )


async def _read(request: web.Request, kind: type[_T]) -> _T:
    """Read a small JSON body.

    Raises:
        Refusal: another type, too large, or not what is expected.
    """
    text = await read_text(request, content_type="application/json", limit=MAX_ORDER_BYTES)
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body cannot be read: {error}") from error
