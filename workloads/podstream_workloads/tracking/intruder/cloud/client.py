"""The edge's way to the cloud: bounded in time, in rate and in what waits, whatever the cloud does.

`ask` never raises for what the network or the cloud does and always answers within
`deadline_s`; a picture that had to give way, or that the cloud could not answer, is undetermined.
"""

import asyncio
import io
import json
import logging
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from podstream_workloads.tracking.intruder.buckets import TokenBucket
from podstream_workloads.tracking.intruder.latency import Durations
from podstream_workloads.tracking.intruder.settings import CloudClientSettings
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict, undetermined

logger = logging.getLogger(__name__)

_ANSWER_BYTES: Final = 64 * 1024
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed."""
_OK: Final = 200


@dataclass(slots=True)
class CloudClientFigures:
    """What has become of what was asked."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    """Given up after all tries."""
    dropped: int = 0
    """Gave way to newer pictures, or waited too long."""
    tries: int = 0
    waiting: int = 0
    """Now."""


@dataclass(eq=False, slots=True)
class _Ask:
    jpeg: bytes
    device_id: str
    deadline: float
    answer: "asyncio.Future[Verdict]" = field(repr=False)


class CloudClient:
    """Asks a cloud about pictures."""

    def __init__(self, settings: CloudClientSettings) -> None:
        self._settings = settings
        self._bucket = TokenBucket(settings.requests_per_s, burst=settings.burst)
        self._waiting: deque[_Ask] = deque()
        self._some = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._down = False
        self.figures = CloudClientFigures()
        self.durations = Durations()

    async def open(self) -> None:
        """Start the senders; nothing is dialled yet."""
        verify: ssl.SSLContext | bool = True
        if self._settings.ca_file is not None:
            verify = await asyncio.to_thread(
                ssl.create_default_context, cafile=self._settings.ca_file
            )
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=verify))
        self._tasks = [
            asyncio.create_task(self._send_all(), name=f"cloud-sender-{index}")
            for index in range(self._settings.concurrency)
        ]

    async def ask(self, jpeg: bytes, *, device_id: str | None = None) -> Verdict:
        """The cloud's verdict on a picture, or why there is none, within `deadline_s`.

        Waits behind others; where too many wait, the oldest of them is answered at once.
        """
        if self._session is None or self._session.closed:
            return undetermined("the edge is closing")
        loop = asyncio.get_running_loop()
        ask = _Ask(
            jpeg,
            device_id or self._settings.device_id,
            loop.time() + self._settings.deadline_s,
            loop.create_future(),
        )
        self.figures.asked += 1
        while len(self._waiting) >= self._settings.backlog:
            self._drop(self._waiting.popleft(), "gave way to newer pictures")
        self._waiting.append(ask)
        async with self._some:
            self._some.notify()
        return await ask.answer

    def waiting(self) -> int:
        """Pictures that no sender has taken yet."""
        return len(self._waiting)

    async def close(self) -> None:
        """Stop asking; whoever waits is answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._waiting:
            self._drop(self._waiting.popleft(), "the edge is closing")
        if self._session is not None:
            await self._session.close()

    def _drop(self, ask: _Ask, why: str) -> None:
        self.figures.dropped += 1
        if not ask.answer.done():
            ask.answer.set_result(undetermined(why))

    async def _send_all(self) -> None:
        while True:
            async with self._some:
                await self._some.wait_for(lambda: self._waiting)
                ask = self._waiting.popleft()
            verdict = undetermined("the edge is closing")
            try:
                verdict = await self._answer(ask)
            except Exception:
                logger.exception("asking the cloud")
                verdict = undetermined("asking the cloud failed")
            finally:
                if not ask.answer.done():
                    ask.answer.set_result(verdict)

    async def _answer(self, ask: _Ask) -> Verdict:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(ask.deadline):
                await self._bucket.taken()
        except TimeoutError:
            self.figures.dropped += 1
            return undetermined("waited too long for its turn")
        pause, reason = self._settings.pause_s, "no time was left"
        for attempt in range(self._settings.tries):
            left = ask.deadline - loop.time()
            if left <= 0:
                break
            if attempt:
                await asyncio.sleep(min(pause, left))
                pause *= 2
            self.figures.tries += 1
            verdict, reason, again = await self._try(
                ask, max(0.05, min(self._settings.timeout_s, ask.deadline - loop.time()))
            )
            if verdict is not None:
                self.figures.answered += 1
                self._note_up()
                return verdict
            if not again:
                break
        self.figures.failed += 1
        self._note_down(reason)
        return undetermined(reason)

    async def _try(self, ask: _Ask, timeout_s: float) -> tuple[Verdict | None, str, bool]:
        """A verdict, or why not and whether another try may help."""
        assert self._session is not None
        form = aiohttp.FormData()
        form.add_field("img", io.BytesIO(ask.jpeg), filename="frame.jpg", content_type="image/jpeg")
        form.add_field("device_id", ask.device_id)
        begun = time.monotonic()
        try:
            headers = await asyncio.to_thread(self._headers)
            async with self._session.post(
                f"{self._settings.url.rstrip('/')}/detect_intruder",
                data=form,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                body = await response.content.read(_ANSWER_BYTES)
                if response.status != _OK:
                    reason = f"the cloud answered {response.status}"
                    return None, reason, response.status in _AGAIN
        except TimeoutError:
            return None, f"the cloud said nothing for {timeout_s:.1f} s", True
        except (aiohttp.ClientError, OSError) as error:
            return None, f"the cloud cannot be reached: {str(error) or type(error).__name__}", True
        self.durations.add(time.monotonic() - begun)
        verdict = read_answer(body)
        return verdict, "the cloud's answer is not understood", False

    def _headers(self) -> dict[str, str]:
        if self._settings.token_file is None:
            return {}
        return {"Authorization": f"Bearer {self._settings.token_file.read_text().strip()}"}

    def _note_down(self, reason: str) -> None:
        if not self._down:
            logger.warning("No verdicts from the cloud: %s", reason)
        self._down = True

    def _note_up(self) -> None:
        if self._down:
            logger.info("The cloud answers again")
        self._down = False


def read_answer(body: bytes) -> Verdict | None:
    """The verdict in a 200 of `/detect_intruder`; `None` where there is none.

    `{"result": bool}` is all a stock cloud says; ours adds `outcome`, and `reason` where that is
    undetermined.
    """
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("result"), bool):
        return None
    if answer["result"]:
        return Verdict(Outcome.UNKNOWN)
    if answer.get("reason"):
        return undetermined(str(answer["reason"])[:200])
    return Verdict(Outcome.KNOWN)
