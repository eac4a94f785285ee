"""A small Kubernetes client for load: many requests at once, and watches with times of our clock.

Object times of the API have whole seconds, and kubectl starts a process for every call; neither
measures a start that takes a tenth of a second.
"""

import asyncio
import base64
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import yaml

from podstream_core import names

Body = dict[str, Any]

DELETED: Final = "Deleted"
_REQUEST_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_RETRY_S: Final = 0.2
_LONGEST_LINE: Final = 1 << 22  # a line of a watch is one object


def collection(kind: str, *, namespace: str) -> str:
    """The path of a kind's objects in a namespace."""
    groups = {
        names.SESSION_PLURAL: f"apis/{names.API_VERSION}",
        "streampools": f"apis/{names.API_VERSION}",
        "deployments": "apis/apps/v1",
        "jobs": "apis/batch/v1",
    }
    return f"/{groups.get(kind, 'api/v1')}/namespaces/{namespace}/{kind}"


class KubeApi:
    """One connection pool to an API server."""

    def __init__(self, http: aiohttp.ClientSession, *, server: str) -> None:
        self._http = http
        self._server = server

    async def create(self, path: str, body: Body) -> Body:
        """Create an object. Raises aiohttp.ClientResponseError where it is refused."""
        return await self._call("POST", path, json=body)

    async def get(self, path: str) -> Body:
        """Read an object or a list. Raises aiohttp.ClientResponseError, 404 where it is not."""
        return await self._call("GET", path)

    async def delete(self, path: str, *, grace_s: int | None = None) -> None:
        """Delete an object, or a whole collection; one that is gone is fine."""
        options: Body = {"propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._call("DELETE", path, json=options)
        except aiohttp.ClientResponseError as error:
            if error.status != 404:
                raise

    async def patch(self, path: str, body: Body) -> Body:
        """Merge a patch into an object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return await self._call("PATCH", path, data=msgspec.json.encode(body), headers=headers)

    async def watch(self, path: str, *, selector: str = "") -> AsyncIterator[tuple[str, Body]]:
        """Events (type, object) from what there is now; a watch that ends goes on where it was."""
        version = ""
        while True:
            query = {"watch": "1", "allowWatchBookmarks": "true", "labelSelector": selector}
            query |= {"resourceVersion": version} if version else {}
            try:
                async with self._http.get(
                    f"{self._server}{path}", params=query, timeout=_WATCH_TIMEOUT
                ) as response:
                    response.raise_for_status()
                    async for line in response.content:
                        event = msgspec.json.decode(line)
                        assert event["type"] != "ERROR", f"the watch is over: {event['object']}"
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            yield event["type"], event["object"]
            except aiohttp.ClientError:
                await asyncio.sleep(_RETRY_S)

    async def _call(self, method: str, path: str, **arguments: Any) -> Body:
        url = f"{self._server}{path}"
        async with self._http.request(
            method, url, timeout=_REQUEST_TIMEOUT, **arguments
        ) as response:
            content = await response.read()
            if response.status >= 400:
                text = content.decode(errors="replace")[:500]
                raise aiohttp.ClientResponseError(
                    response.request_info, (), status=response.status, message=text
                )
            found: Body = msgspec.json.decode(content)
            return found


def _trust(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Server and TLS of a kubeconfig's first cluster and user, who has a client certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    trust = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as file:
        for part in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[part]))
        file.flush()
        trust.load_cert_chain(file.name)
    return cluster["server"], trust


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubeApi]:
    """A client for a kubeconfig's first cluster and user."""
    server, trust = _trust(kubeconfig)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, limit=200), read_bufsize=_LONGEST_LINE
    ) as http:
        yield KubeApi(http, server=server)


class Follower:
    """Objects of one kind, and when each one first showed each mark, by the monotonic clock."""

    def __init__(self, marks: Callable[[Body], Iterable[str]]) -> None:
        self._marks = marks
        self.moments: dict[str, dict[str, float]] = {}
        self.latest: dict[str, Body] = {}
        self.counts: Counter[str] = Counter()
        """How many objects have shown a mark."""
        self._changed = asyncio.Event()

    def note(self, name: str, mark: str) -> None:
        """Set a mark by hand, now; the first time counts."""
        moments = self.moments.setdefault(name, {})
        if mark not in moments:
            moments[mark] = time.monotonic()
            self.counts[mark] += 1
            self._changed.set()

    def take(self, kind: str, body: Body) -> None:
        """Take an event."""
        name = body["metadata"]["name"]
        self.latest[name] = body
        for mark in (DELETED,) if kind == "DELETED" else self._marks(body):
            self.note(name, mark)

    def seconds(self, name: str, since: str, until: str) -> float:
        """Between two marks of an object."""
        moments = self.moments[name]
        return moments[until] - moments[since]

    async def wait(
        self,
        reached: Callable[[], bool],
        *,
        what: str,
        timeout_s: float,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until a condition about the objects holds.

        Raises:
            TimeoutError: the time is over; names what was waited for and the counts.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    alive()
                    self._changed.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1.0):
                            await self._changed.wait()
        except TimeoutError:
            counts = dict(self.counts)
            raise TimeoutError(f"no {what} within {timeout_s:.0f} s: {counts}") from None

    async def wait_for(self, name: str, mark: str, *, timeout_s: float = 60) -> None:
        """Wait until an object shows a mark."""
        await self.wait(
            lambda: mark in self.moments.get(name, {}),
            what=f"{mark} of {name}",
            timeout_s=timeout_s,
        )

    async def wait_count(
        self, mark: str, count: int, *, timeout_s: float, alive: Callable[[], None] = lambda: None
    ) -> None:
        """Wait until so many objects have shown a mark."""
        await self.wait(
            lambda: self.counts[mark] >= count,
            what=f"{count} times {mark}",
            timeout_s=timeout_s,
            alive=alive,
        )


@asynccontextmanager
async def following(
    api: KubeApi, path: str, *, marks: Callable[[Body], Iterable[str]], selector: str = ""
) -> AsyncIterator[Follower]:
    """Follow the objects of a collection until the end of the block."""
    follower = Follower(marks)

    async def work() -> None:
        async for kind, body in api.watch(path, selector=selector):
            follower.take(kind, body)

    task = asyncio.create_task(work(), name=f"watch {path}")
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def session_marks(body: Body) -> Iterable[str]:
    """A session's phase."""
    phase = body.get("status", {}).get("phase")
    return (phase,) if phase else ()


def pod_marks(body: Body) -> Iterable[str]:
    """A pod's phase, and Ready."""
    status = body.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            yield "Ready"
    if status.get("phase"):
        yield status["phase"]


def session_body(name: str, spec: Body) -> Body:
    """A StreamSession."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SESSION_KIND,
        "metadata": {"name": name},
        "spec": spec,
    }


async def create_at_rate(
    api: KubeApi, path: str, bodies: Iterable[Body], *, rate: float, follower: Follower
) -> tuple[float, float]:
    """Create objects, `rate` a second whatever each call takes; first and last moment.

    The mark "created" of each is the moment before its request was sent.

    Raises:
        ExceptionGroup: one was refused.
    """
    begun = time.monotonic()
    last = begun
    async with asyncio.TaskGroup() as group:
        for number, body in enumerate(bodies):
            await asyncio.sleep(begun + number / rate - time.monotonic())
            follower.note(body["metadata"]["name"], "created")
            last = time.monotonic()
            group.create_task(api.create(path, body))
    return begun, last
