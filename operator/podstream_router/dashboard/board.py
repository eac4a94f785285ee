"""What the watches see of sessions and pools, as the dashboard shows it, and who wants to know.

Fed by the same watches as the routes, in the same event loop, so each method is one atomic step.
Bodies are encoded once per change, however many pages show them.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import msgspec

from podstream_core.api import SessionKey
from podstream_core.assignment import AssignedPod
from podstream_core.names import LABEL_POOL
from podstream_router.feeds import Feed

logger = logging.getLogger(__name__)

Kind = Literal["session", "pool"]
Place = tuple[Kind, SessionKey]
"""What has changed: a session or a pool, by namespace and name."""


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    uid: str
    creation_timestamp: str
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object."""

    place: Place
    uid: str
    subjects: tuple[str, ...]
    """Subjects of the client tokens that open it."""
    body: bytes
    """JSON for pages: metadata that people read, spec and status."""


class Subscription:
    """What has changed since it was last asked; never larger than what there is."""

    def __init__(self) -> None:
        self._changed: set[Place] = set()
        self._woken = asyncio.Event()

    def tell(self, place: Place) -> None:
        """Note a change."""
        self._changed.add(place)
        self._woken.set()

    async def wait(self, *, timeout_s: float) -> set[Place]:
        """What has changed; empty after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return set()
        self._woken.clear()
        changed, self._changed = self._changed, set()
        return changed


class Board:
    """Sessions and pools by namespace and name."""

    def __init__(self) -> None:
        self._entries: dict[Place, Entry] = {}
        self._subscriptions: set[Subscription] = set()

    def get(self, kind: Kind, key: SessionKey) -> Entry | None:
        """The session or pool of this name."""
        return self._entries.get((kind, key))

    def all(self, kind: Kind) -> Iterator[Entry]:
        """All of a kind, by namespace and name."""
        for place in sorted(place for place in self._entries if place[0] == kind):
            yield self._entries[place]

    def session_of(self, subject: str) -> Entry | None:
        """The session that a client token with this subject opens."""
        for entry in self._entries.values():
            if entry.place[0] == "session" and subject in entry.subjects:
                return entry
        return None

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Hear of every change while the block runs."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def put(self, entry: Entry) -> None:
        """Add or replace an object."""
        old = self._entries.get(entry.place)
        if old is None or old.body != entry.body or old.uid != entry.uid:
            self._entries[entry.place] = entry
            self._tell(entry.place)

    def drop(self, place: Place) -> None:
        """Forget an object."""
        if self._entries.pop(place, None) is not None:
            self._tell(place)

    def replace(self, kind: Kind, namespace: str | None, entries: Iterable[Entry]) -> None:
        """Take a complete list of a namespace, or of all."""
        found = {entry.place: entry for entry in entries}
        for place in list(self._entries):
            here = place[0] == kind and namespace in (None, place[1].namespace)
            if here and place not in found:
                self.drop(place)
        for entry in found.values():
            self.put(entry)

    def _tell(self, place: Place) -> None:
        for subscription in self._subscriptions:
            subscription.tell(place)


class Copied:
    """A feed that hands on what it gets and keeps a copy on the board."""

    def __init__(self, feed: Feed, *, board: Board, kind: Kind) -> None:
        self._feed = feed
        self._board = board
        self._kind: Kind = kind

    def replace(self, namespace: str | None, objects: Iterable[msgspec.Raw]) -> None:
        """Take a complete list; objects that are not in it are gone."""
        bodies = list(objects)
        self._feed.replace(namespace, bodies)
        read = [entry for body in bodies if (entry := self._read(body)) is not None]
        self._board.replace(self._kind, namespace, read)

    def apply(self, event: str, body: msgspec.Raw) -> None:
        """Take one event: ADDED, MODIFIED or DELETED."""
        self._feed.apply(event, body)
        entry = self._read(body)
        if entry is None:
            return
        if event == "DELETED":
            self._board.drop(entry.place)
        else:
            self._board.put(entry)

    def _read(self, body: msgspec.Raw) -> Entry | None:
        try:
            return read_entry(body, kind=self._kind)
        except msgspec.DecodeError as error:
            logger.warning("object not shown: it cannot be read", extra={"cause": str(error)})
            return None


def read_entry(body: msgspec.Raw, *, kind: Kind) -> Entry:
    """Decode a session or pool for the dashboard.

    Raises:
        msgspec.DecodeError: it is no Kubernetes object.
    """
    found = msgspec.json.decode(body, type=_Object)
    meta = found.metadata
    shown = {
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "created": meta.creation_timestamp,
        "generation": meta.generation,
        "deleting": meta.deletion_timestamp is not None,
        "pool": meta.labels.get(LABEL_POOL) if kind == "session" else None,
        "spec": found.spec,
        "status": found.status,
    }
    assigned = AssignedPod.of(meta.annotations) if kind == "session" else None
    subjects = (meta.uid,) if assigned is None else (meta.uid, assigned.assignment_id)
    return Entry(
        place=(kind, SessionKey(meta.namespace, meta.name)),
        uid=meta.uid,
        subjects=subjects,
        body=msgspec.json.encode(shown),
    )
