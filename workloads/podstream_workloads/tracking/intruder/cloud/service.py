"""`POST /detect_intruder` and `GET /health`, as existing edges ask them; every error is JSON."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from podstream_workloads.tracking.intruder.forms import FormRefused, read_form
from podstream_workloads.tracking.intruder.latency import Durations
from podstream_workloads.tracking.intruder.pictures import PictureRefused, claimed_size, decode
from podstream_workloads.tracking.intruder.settings import CloudSettings
from podstream_workloads.tracking.intruder.upload import Sent, UploadPage
from podstream_workloads.tracking.intruder.verdict import (
    Outcome,
    Recogniser,
    Verdict,
    undetermined,
)

logger = logging.getLogger(__name__)

_FORM_BYTES: Final = 64 * 1024
"""Beside the picture: boundaries, part headers, `device_id`."""
_DEVICE_ID: Final = 100
"""Characters of a device's name that are kept."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class CloudFigures:
    """What the service has answered."""

    requests: int
    known: int
    unknown: int
    undetermined: int
    refused: int
    """Requests answered with an error."""
    last_reason: str
    """Why the last undetermined verdict was one."""
    recogniser: str
    recognise_ms: float | None
    """Median of the last 500 verdicts."""


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CloudService:
    """Answers whose face a picture shows."""

    def __init__(self, settings: CloudSettings, *, recogniser: Recogniser) -> None:
        self._settings = settings
        self._recogniser = recogniser
        self._working = 0
        self._requests = 0
        self._refused = 0
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._last_reason = ""
        self._durations = Durations()
        self._page = (
            UploadPage(
                self._upload,
                plots={"cloud": self._durations.milliseconds},
                max_bytes=settings.limits.max_bytes,
            )
            if settings.upload_page
            else None
        )

    async def open(self) -> None:
        """Make the recogniser ready."""
        await self._recogniser.open()

    def app(self) -> web.Application:
        """The application, served at `/`."""
        app = web.Application(middlewares=[self._json_errors])
        app.router.add_post("/detect_intruder", self._detect)
        app.router.add_get("/health", _health)
        if self._page is not None:
            self._page.add_to(app)
        return app

    def results(self) -> CloudFigures:
        """The figures so far."""
        return CloudFigures(
            requests=self._requests,
            known=self._outcomes[Outcome.KNOWN],
            unknown=self._outcomes[Outcome.UNKNOWN],
            undetermined=self._outcomes[Outcome.UNDETERMINED],
            refused=self._refused,
            last_reason=self._last_reason,
            recogniser=self._recogniser.name,
            recognise_ms=self._durations.median_ms(),
        )

    async def close(self) -> None:
        """Let the recogniser go."""
        await self._recogniser.close()

    @web.middleware
    async def _json_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (_Refused, FormRefused) as refused:
            status, message = refused.status, str(refused)
        except web.HTTPException as error:
            status, message = error.status, error.reason.lower()
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            status, message = 500, "internal error"
        self._refused += 1
        logger.warning("%s %s: %d %s", request.method, request.path[:100], status, message)
        return web.json_response({"error": message}, status=status)

    async def _detect(self, request: web.Request) -> web.Response:
        self._requests += 1
        picture, device = await self._form(request)
        verdict = await self._judge(picture, track=device)
        answer: dict[str, Any] = {"result": verdict.intruder}
        if verdict.outcome is Outcome.UNDETERMINED:
            answer["reason"] = verdict.reason
        return web.json_response(answer)

    async def _judge(self, picture: bytes, *, track: str) -> Verdict:
        if self._working >= self._settings.max_concurrent:
            raise _Refused(503, "busy")
        self._working += 1
        begun = time.monotonic()
        try:
            if claimed_size(picture) is None:
                raise _Refused(400, "the image is neither JPEG nor PNG")
            try:
                await asyncio.to_thread(decode, picture, limits=self._settings.limits)
            except PictureRefused as refused:
                raise _Refused(400, f"the image is refused: {refused}") from refused
            try:
                verdict = await self._recogniser.recognise(picture, track=track)
            except Exception:
                logger.exception("The recogniser failed")
                verdict = undetermined("the recogniser failed")
        finally:
            self._working -= 1
        self._durations.add(time.monotonic() - begun)
        self._note(verdict, device=track)
        return verdict

    def _note(self, verdict: Verdict, *, device: str) -> None:
        self._outcomes[verdict.outcome] += 1
        if verdict.outcome is Outcome.UNDETERMINED:
            self._last_reason = verdict.reason
            logger.warning("Undetermined, device %s: %s", device, verdict.reason)
        else:
            who = f" ({verdict.name})" if verdict.name else ""
            logger.info("Face %s%s, device %s", verdict.outcome.value, who, device)

    async def _form(self, request: web.Request) -> tuple[bytes, str]:
        """The picture, and which device it is of."""
        form = await read_form(
            request, picture="img", max_bytes=self._settings.limits.max_bytes + _FORM_BYTES
        )
        if not form.picture:
            raise _Refused(400, "no image provided")
        named = form.texts.get("device_id", "")[:_DEVICE_ID]
        shown = "".join(letter if letter.isprintable() else "?" for letter in named)
        return form.picture, shown or "unnamed"

    async def _upload(self, name: str, picture: bytes) -> Sent:
        try:
            verdict = await self._judge(picture, track=name)
        except _Refused as refused:
            return Sent(False, str(refused))
        return Sent(True, verdict.outcome.value)


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})
