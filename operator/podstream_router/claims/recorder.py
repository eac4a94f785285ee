"""Creates the StreamSessions of connections that have their pod.

The connection does not wait for it: it is served from a provisional route until the watch shows the
resource. What the API server cannot take now is tried again; what it refuses for good (a quota, an
admission policy) ends the connection, because a session that nobody can see must not run.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from podstream_core import names
from podstream_router.claims.claim import Claim, session_body
from podstream_router.claims.release import Releases
from podstream_router.errors import Overloaded
from podstream_router.hints import Hints
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.routes import RouteTable
from podstream_router.watch import ApiError, ApiUnreachable

logger = logging.getLogger(__name__)

MAX_OPEN: Final = 1000
"""Sessions that may wait for their creation; beyond that pools take no more connections."""
MAX_CALLS: Final = 16
"""Creations at a time."""
GIVE_UP_S: Final = 120.0
RETRY_FIRST_S: Final = 0.2
RETRY_LAST_S: Final = 5.0
_CONFLICT: Final = 409
_PASSING: Final = frozenset({401, 408, 429})
"""Refusals that pass: a token that is being renewed, a slow request, too many requests."""
_SERVER_ERROR: Final = 500
_FIELD_MANAGER: Final = "podstream-router"


class SessionApi(Protocol):
    """The calls of the API server that a creation needs."""

    async def get(self, path: str, *, query: Mapping[str, str]) -> bytes:
        """Body of one object; raises `ApiError` or `ApiUnreachable`."""

    async def create(self, path: str, *, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """POST an object; raises `ApiError` or `ApiUnreachable`."""


class _Refused(Exception):
    """The session cannot be created; the message says why."""


class Recorder:
    """One task per session that is not created yet."""

    def __init__(
        self,
        *,
        api: SessionApi,
        routes: RouteTable,
        releases: Releases,
        hints: Hints,
        metrics: RouterMetrics,
    ) -> None:
        self._api = api
        self._routes = routes
        self._releases = releases
        self._hints = hints
        self._metrics = metrics
        self._calls = asyncio.Semaphore(MAX_CALLS)
        self._open: dict[asyncio.Task[None], Claim] = {}

    @property
    def open(self) -> int:
        """Sessions that are not created yet."""
        return len(self._open)

    def check_room(self) -> None:
        """Raise where no further session can be taken on.

        Raises:
            Overloaded: too many wait for the API server.
        """
        if len(self._open) >= MAX_OPEN:
            raise Overloaded("the API server does not take new sessions at the moment: try again")

    def record(self, claim: Claim) -> None:
        """Create the session of a claim, soon."""
        task = asyncio.create_task(self._record(claim), name=f"record:{claim.session.key}")
        self._open[task] = claim
        task.add_done_callback(self._open.pop)

    async def close(self, *, deadline: float) -> None:
        """Wait for open creations until a time of the loop's clock; end what has none then."""
        if not self._open:
            return
        loop = asyncio.get_running_loop()
        await asyncio.wait(self._open, timeout=max(0.0, deadline - loop.time()))
        late = dict(self._open)
        for task, claim in late.items():
            task.cancel()
            self._metrics.recordings.labels("abandoned").inc()
            self._end(claim, "the router went away before the session could be created")
        await asyncio.gather(*late, return_exceptions=True)

    async def _record(self, claim: Claim) -> None:
        key = claim.session.key
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await self._create_at_last(claim)
        except TimeoutError:
            self._metrics.recordings.labels("expired").inc()
            self._end(claim, f"the session could not be created within {GIVE_UP_S:g} s")
        except _Refused as error:
            self._metrics.recordings.labels("rejected").inc()
            self._end(claim, f"the session was refused: {error}")
        else:
            self._metrics.recordings.labels("created").inc()
            self._hints.send(key)
            logger.info(
                "session created",
                extra=about(key, pod=claim.pod, pool=claim.pool.key.name, origin=claim.origin),
            )

    async def _create_at_last(self, claim: Claim) -> None:
        """Create the session, however often it takes.

        Raises:
            _Refused: it will never be taken.
        """
        delay_s = RETRY_FIRST_S
        while True:
            wait_s = delay_s * random.uniform(0.8, 1.2)
            try:
                async with self._calls:
                    await self._create(claim)
            except ApiError as error:
                if error.status not in _PASSING and error.status < _SERVER_ERROR:
                    raise _Refused(str(error)) from error
                wait_s = max(wait_s, error.retry_after_s)
                cause: Exception = error
            except ApiUnreachable as error:
                cause = error
            else:
                return
            self._metrics.recordings.labels("retried").inc()
            logger.warning(
                "session not created yet: trying again",
                extra=about(claim.session.key, pod=claim.pod, cause=str(cause), retry_s=wait_s),
            )
            await asyncio.sleep(wait_s)
            delay_s = min(RETRY_LAST_S, 2 * delay_s)

    async def _create(self, claim: Claim) -> None:
        """Create the session once; one that is there already under our assignment is it.

        Raises:
            ApiError: the server refused.
            ApiUnreachable: no answer; it may be there all the same.
        """
        path = _path(claim.session.key.namespace)
        query = {"fieldManager": _FIELD_MANAGER}
        try:
            await self._api.create(path, query=query, body=session_body(claim))
        except ApiError as error:
            if error.status != _CONFLICT or not await self._is_there(claim):
                raise

    async def _is_there(self, claim: Claim) -> bool:
        key = claim.session.key
        try:
            body = await self._api.get(f"{_path(key.namespace)}/{key.name}", query={})
        except ApiError as error:
            if error.status == 404:  # noqa: PLR2004
                raise ApiUnreachable("a session of this name was there and is not") from error
            raise
        found = msgspec.json.decode(body, type=_Created).metadata.annotations
        return found.get(names.ANNOTATION_ASSIGNMENT) == str(claim.session.assigned)

    def _end(self, claim: Claim, message: str) -> None:
        key = claim.session.key
        logger.error("connection ended", extra=about(key, pod=claim.pod, cause=message))
        self._routes.remove_provisional(key)
        self._releases.start(
            claim.pod, session=claim.session, reason="SessionRejected", message=message
        )


class _CreatedMeta(msgspec.Struct, frozen=True):
    annotations: dict[str, str] = {}


class _Created(msgspec.Struct, frozen=True):
    metadata: _CreatedMeta


def _path(namespace: str) -> str:
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.SESSION_PLURAL}"
