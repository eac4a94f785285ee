"""`GET /timelines` and `GET /objectIds`, with Tracktech's texts to the letter."""

import asyncio
import logging
import re
from typing import Final

from aiohttp import hdrs, web

from podstream_workloads.tracking.orchestrator.errors import StoreError, TokenRefused
from podstream_workloads.tracking.orchestrator.objects import ObjectTable
from podstream_workloads.tracking.orchestrator.settings import OrchestratorSettings
from podstream_workloads.tracking.orchestrator.timelines.answers import (
    intervals_body,
    records_body,
)
from podstream_workloads.tracking.orchestrator.timelines.recorder import Recorder
from podstream_workloads.tracking.orchestrator.tokens import RoleCheck

logger = logging.getLogger(__name__)

_MISSING: Final = 'Missing "objectId" query parameter'
_NOT_WHOLE: Final = "objectId is not a whole number"
_UNKNOWN: Final = "Object id not present in tracking history"
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


def is_allowed_origin(request: web.Request, origins: tuple[str, ...]) -> bool:
    """Whether a page of the request's Origin may use the orchestrator."""
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or "*" in origins or origin in origins


class Answers:
    """The two GETs of one orchestrator."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        *,
        objects: ObjectTable,
        recorder: Recorder,
        check: RoleCheck | None,
    ) -> None:
        self._settings = settings
        self._objects = objects
        self._recorder = recorder
        is_open = settings.compat or (settings.auth is not None and settings.auth.open_timelines)
        self._check = None if is_open else check

    async def object_ids(self, request: web.Request) -> web.Response:
        """All ids ever given, as `{"data":[1, 2, 3]}`."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        numbers = ", ".join(map(str, range(1, self._objects.last_number + 1)))
        return self._answer(request, f'{{"data":[{numbers}]}}')

    async def timelines(self, request: web.Request) -> web.Response:
        """Where and when an object was seen."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        asked = request.query.get("objectId", request.query.get("object_id"))
        if asked is None:
            return self._answer(request, _MISSING, status=400)
        if _NUMBER.fullmatch(asked) is None:
            return self._answer(request, _NOT_WHOLE, status=400)
        try:
            intervals = await self._recorder.intervals(int(asked))
        except StoreError as error:
            logger.warning("timeline cannot be read", extra={"error": str(error)})
            return self._answer(request, "Timelines cannot be read now", status=503)
        if not intervals:
            return self._answer(request, _UNKNOWN, status=400)
        make = intervals_body if request.query.get("intervals") == "1" else records_body
        return self._answer(request, await asyncio.to_thread(make, intervals))

    async def preflight(self, request: web.Request) -> web.Response:
        """What a browser asks before it sends a token along."""
        answer = self._answer(request, "", status=204)
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Authorization"
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET"
        return answer

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why the request gets no answer, if so."""
        if not is_allowed_origin(request, self._settings.origins):
            return self._answer(request, "Origin not allowed", status=403)
        if self._check is None:
            return None
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise TokenRefused("a bearer token is needed")
            self._check.expiry_of(token.strip())
        except TokenRefused as refused:
            answer = self._answer(request, str(refused), status=403 if refused.lacks_role else 401)
            answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
            return answer
        return None

    def _answer(self, request: web.Request, text: str, *, status: int = 200) -> web.Response:
        reason = text if status == 400 else None  # noqa: PLR2004 - Tracktech's reason phrases
        answer = web.Response(text=text, status=status, reason=reason, content_type="text/html")
        if "*" in self._settings.origins:
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        elif hdrs.ORIGIN in request.headers:
            answer.headers[hdrs.VARY] = hdrs.ORIGIN
            if is_allowed_origin(request, self._settings.origins):
                origin = request.headers[hdrs.ORIGIN]
                answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        return answer
