"""Kubernetes Events on a session's transitions, posted beside the work and never in its way."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from podstream_core import names
from podstream_core.api import StreamSession
from podstream_operator.cluster.client import KubeClient
from podstream_operator.errors import ApiError
from podstream_operator.metrics import Metrics
from podstream_operator.status import Note

logger = logging.getLogger(__name__)

_MAX_QUEUED: Final = 1000
_MAX_NOTE_BYTES: Final = 1024
"""Limit of `note` in events.k8s.io/v1."""


def build_event(
    session: StreamSession, note: Note, *, instance: str, name: str, now: datetime
) -> dict[str, Any]:
    """An Event of `events.k8s.io/v1` about a session."""
    text = note.message.encode()[:_MAX_NOTE_BYTES].decode(errors="ignore")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": session.metadata.namespace},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": note.severity.value,
        "reason": note.reason,
        "action": note.action,
        "note": text,
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.SESSION_KIND,
            "namespace": session.metadata.namespace,
            "name": session.metadata.name,
            "uid": session.metadata.uid,
        },
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": instance,
    }


class EventPoster:
    """Posts Events in order, one at a time. An Event that fails is counted and dropped."""

    def __init__(self, kube: KubeClient, *, instance: str, metrics: Metrics) -> None:
        self._kube = kube
        self._instance = instance
        self._metrics = metrics
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(_MAX_QUEUED)

    def post(self, session: StreamSession, note: Note, *, now: datetime) -> None:
        """Queue an Event; it is dropped where too many wait."""
        body = build_event(
            session,
            note,
            instance=self._instance,
            name=f"{session.metadata.name}.{uuid4().hex[:16]}",
            now=now,
        )
        try:
            self._queue.put_nowait((session.metadata.namespace, body))
        except asyncio.QueueFull:
            self._metrics.event_dropped()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            namespace, body = await self._queue.get()
            try:
                await self._kube.create_event(namespace, body)
            except ApiError as error:
                self._metrics.event_dropped()
                extra = {"namespace": namespace, "session": body["regarding"]["name"]}
                logger.info("event dropped", extra={**extra, "cause": str(error)})
