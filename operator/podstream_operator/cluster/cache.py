"""What watches and lists have shown: sessions and their pods, by key.

Reads never block. Writes come from three sides (kopf's watch, the operator's own lists, answers
to its own writes), so an object is replaced only by a newer one: resource versions of one kind
compare as integers (Kubernetes 1.35 made that official; it has always held for etcd).
"""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from podstream_core.api import SessionKey, StreamSession
from podstream_operator.cluster.client import Body
from podstream_operator.facts import PodFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedSession:
    """A session as it is stored."""

    session: StreamSession
    raw_status: dict[str, Any]
    """The status as stored, with members that this version does not know."""
    first_seen_at: datetime


class Cache:
    """Owns the operator's picture of the cluster. Not shared between event loops."""

    def __init__(self) -> None:
        self._sessions: dict[SessionKey, CachedSession] = {}
        self._pods: dict[SessionKey, dict[str, PodFacts]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._sessions)

    def put_session(self, body: Body, *, now: datetime) -> SessionKey | None:
        """Take over a session's body; its key, or `None` where the body cannot be read."""
        try:
            session = StreamSession.from_body(body)
        except msgspec.ValidationError as error:
            metadata = body.get("metadata") or {}
            logger.error(
                "session cannot be read: CRD and operator differ in version",
                extra={
                    "namespace": metadata.get("namespace"),
                    "session": metadata.get("name"),
                    "cause": str(error),
                },
            )
            return None
        key = session.key
        known = self._sessions.get(key)
        first_seen_at = now
        if known is not None and known.session.metadata.uid == session.metadata.uid:
            if _is_older(session.metadata.resource_version, known.session):
                return key
            first_seen_at = known.first_seen_at
        raw_status = body.get("status") or {}
        self._sessions[key] = CachedSession(session, raw_status, first_seen_at)
        return key

    def drop_session(self, key: SessionKey, *, uid: str) -> None:
        """Forget a session that was deleted, and its pods that went before it."""
        known = self._sessions.get(key)
        if known is not None and known.session.metadata.uid == uid:
            del self._sessions[key]
        pods = self._pods.get(key)
        if pods is not None:
            for pod in [pod for pod in pods.values() if pod.gone and pod.owner_uid == uid]:
                del pods[pod.uid]
            if not pods:
                del self._pods[key]

    def session(self, key: SessionKey) -> CachedSession | None:
        """The session as it was last seen."""
        return self._sessions.get(key)

    def sessions(self) -> Iterator[CachedSession]:
        """All sessions."""
        return iter(self._sessions.values())

    def session_keys(self) -> list[SessionKey]:
        """Keys of all sessions."""
        return list(self._sessions)

    def put_pod(self, pod: PodFacts) -> SessionKey:
        """Take over a pod; the key of its session."""
        key = SessionKey(pod.namespace, pod.session)
        known = self._pods[key].get(pod.uid)
        if known is None or not (
            known.gone or _version(pod.resource_version) < _version(known.resource_version)
        ):
            self._pods[key][pod.uid] = pod
        return key

    def drop_pod(self, pod: PodFacts) -> SessionKey:
        """A pod was deleted: keep its last state while its session is known."""
        key = SessionKey(pod.namespace, pod.session)
        known = self._sessions.get(key)
        if known is not None and known.session.metadata.uid == pod.owner_uid:
            self._pods[key][pod.uid] = dataclasses.replace(pod, gone=True)
            return key
        pods = self._pods.get(key)
        if pods is not None:
            pods.pop(pod.uid, None)
            if not pods:
                del self._pods[key]
        return key

    def pods_of(self, session: StreamSession) -> tuple[PodFacts, ...]:
        """Pods that the session controls, with those that were deleted meanwhile."""
        pods = self._pods.get(session.key, {})
        return tuple(pod for pod in pods.values() if pod.owner_uid == session.metadata.uid)

    def forget(
        self, namespace: str, *, session_uids: Collection[str], pod_uids: Collection[str]
    ) -> list[SessionKey]:
        """Drop objects that a fresh list no longer has; the keys that this concerns.

        kopf replaces a watch that was interrupted by a new list, and says nothing about objects
        that were deleted in between.
        """
        changed = []
        for key, pods in list(self._pods.items()):
            if key.namespace != namespace:
                continue
            for pod in [pod for pod in pods.values() if pod.uid in pod_uids and not pod.gone]:
                self.drop_pod(pod)
                changed.append(key)
        for key, known in list(self._sessions.items()):
            uid = known.session.metadata.uid
            if key.namespace == namespace and uid in session_uids:
                self.drop_session(key, uid=uid)
                changed.append(key)
        return changed

    def uids(self, namespace: str) -> tuple[set[str], set[str]]:
        """UIDs of the sessions and pods of a namespace that are known and exist."""
        sessions = {
            known.session.metadata.uid
            for key, known in self._sessions.items()
            if key.namespace == namespace
        }
        pods = {
            pod.uid
            for key, found in self._pods.items()
            if key.namespace == namespace
            for pod in found.values()
            if not pod.gone
        }
        return sessions, pods


def _is_older(version: str, known: StreamSession) -> bool:
    return _version(version) < _version(known.metadata.resource_version)


def _version(text: str) -> int:
    return int(text) if text.isdigit() else 0
