"""Creates sessions at a steady rate and follows them, with times on this process's clock."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from podstream_core import names

_REQUEST_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_RETRY_S: Final = 0.2


class _Metadata(msgspec.Struct):
    name: str = ""
    resourceVersion: str = ""  # noqa: N815 - the API's own name


class _Status(msgspec.Struct):
    phase: str = ""
    reason: str = ""


class _Object(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Object


@dataclass
class Life:
    """When one session was created and reached each phase, seconds of the monotonic clock."""

    created_at: float
    phases: dict[str, float] = field(default_factory=dict)
    gone_at: float | None = None


class Sessions:
    """Sessions of one namespace: made here, followed by a watch."""

    def __init__(self, http: aiohttp.ClientSession, *, url: str, namespace: str) -> None:
        self._http = http
        self._path = f"{url}/apis/{names.API_VERSION}/namespaces/{namespace}/{names.SESSION_PLURAL}"
        self.lives: dict[str, Life] = {}
        self.counts: dict[str, int] = {}
        """How many sessions have reached a phase; "" counts those that are gone."""
        self._changed = asyncio.Event()

    async def create(self, name: str, spec: dict[str, Any]) -> None:
        """Create one session.

        Raises:
            aiohttp.ClientResponseError: the API server refused it.
        """
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.SESSION_KIND,
            "metadata": {"name": name},
            "spec": spec,
        }
        self.lives[name] = Life(time.monotonic())
        async with self._http.post(self._path, json=body, timeout=_REQUEST_TIMEOUT) as response:
            await response.read()
            response.raise_for_status()

    async def create_at_rate(
        self, wanted: list[str], *, spec: dict[str, Any], rate: float
    ) -> tuple[float, float]:
        """Create sessions, `rate` a second whatever each takes; first and last moment.

        Raises:
            ExceptionGroup: one was refused.
        """
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(wanted):
                await asyncio.sleep(begun + number / rate - time.monotonic())
                group.create_task(self.create(name, spec))
        return begun, max(self.lives[name].created_at for name in wanted)

    async def wait(
        self, phase: str, *, count: int, timeout_s: float, alive: Callable[[], None]
    ) -> None:
        """Wait until so many sessions have reached a phase ("": are gone).

        Raises:
            TimeoutError: the time is over; names how many there were.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self.counts.get(phase, 0) < count:
                    alive()
                    self._changed.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1.0):
                            await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{self.counts.get(phase, 0)} of {count} sessions are {phase or 'gone'} after "
                f"{timeout_s:.0f} s: {self.counts}"
            ) from None

    async def follow(self) -> None:
        """Watch until cancelled, from what there is; a watch that ends goes on where it was."""
        version = ""
        while True:
            try:
                async for event in self._events(since=version):
                    version = event.object.metadata.resourceVersion
                    self._take(event)
            except aiohttp.ClientError:
                await asyncio.sleep(_RETRY_S)

    async def _events(self, *, since: str) -> AsyncIterator[_Event]:
        """One watch to its end."""
        query = {"watch": "1", "allowWatchBookmarks": "true"}
        query |= {"resourceVersion": since} if since else {}
        async with self._http.get(self._path, params=query, timeout=_STREAM_TIMEOUT) as response:
            response.raise_for_status()
            async for line in response.content:
                event = msgspec.json.decode(line, type=_Event)
                assert event.type != "ERROR", "the watch fell behind the API server's history"
                yield event

    def _take(self, event: _Event) -> None:
        life = self.lives.get(event.object.metadata.name)
        if life is None or event.type == "BOOKMARK":
            return
        phase = event.object.status.phase
        if event.type == "DELETED":
            life.gone_at = time.monotonic()
            phase = ""
        elif phase in life.phases or not phase:
            return
        else:
            life.phases[phase] = time.monotonic()
        self.counts[phase] = self.counts.get(phase, 0) + 1
        self._changed.set()


@asynccontextmanager
async def following(*, url: str, namespace: str, pki: Path) -> AsyncIterator[Sessions]:
    """Sessions of a namespace as an administrator with the cluster's own certificate."""
    trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    trust.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connector = aiohttp.TCPConnector(ssl=trust, limit=100)
    async with aiohttp.ClientSession(
        connector=connector,
        json_serialize=lambda body: json.dumps(body, separators=(",", ":")),
        read_bufsize=1 << 22,  # a line is one object
    ) as http:
        sessions = Sessions(http, url=url, namespace=namespace)
        task = asyncio.create_task(sessions.follow(), name="watch")
        try:
            yield sessions
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
