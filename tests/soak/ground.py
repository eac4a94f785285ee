"""What the connection tests share: the installation, a small session, and what must be left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from load.kube import Follower, KubeApi, collection, connected, following, session_marks
from load.player import Player
from load.pools import SESSIONS
from load.site import NAMESPACE, Site
from podstream_core import names

SPEC: Final[dict[str, Any]] = {
    "circle": {"width": 160, "height": 120, "fps": 5, "frames": 0},
    "access": {"mode": "Public"},
    "lingerSeconds": 0,
    "reconnectSeconds": 0,
    "ttlSecondsAfterFinished": 5,
    "startupTimeoutSeconds": 600,
    "resultsIntervalSeconds": 0,
    "pod": {"resources": {"requests": {"cpu": "1m", "memory": "32Mi", "ephemeral-storage": "1Mi"}}},
}
"""A session that two cores carry fifty times."""


@dataclass
class Ground:
    """The installation under test and what is known of its sessions."""

    site: Site
    api: KubeApi
    http: aiohttp.ClientSession
    sessions: Follower

    def to_pool(self, pool: str) -> Player:
        """A client of a pool."""
        return Player(self.http, f"{self.site.router_url}/p/{NAMESPACE}/{pool}/whep")

    def to_session(self, session: str) -> Player:
        """A client of a session."""
        return Player(self.http, self.site.whep_url(session))

    def pod_uid(self, session: str) -> str:
        """The pod that a session's status names."""
        uid: str = self.sessions.latest[session]["status"]["pod"]["uid"]
        return uid

    async def secrets(self) -> set[str]:
        """Names of all Secrets."""
        found = await self.api.get(collection("secrets", namespace=NAMESPACE))
        return {item["metadata"]["name"] for item in found["items"]}

    async def session_pods(self) -> set[str]:
        """Names of all session and client pods."""
        path = f"{collection('pods', namespace=NAMESPACE)}?labelSelector={names.LABEL_ROLE}"
        return {item["metadata"]["name"] for item in (await self.api.get(path))["items"]}

    async def session_names(self) -> set[str]:
        """Names of all sessions."""
        return {item["metadata"]["name"] for item in (await self.api.get(SESSIONS))["items"]}


@asynccontextmanager
async def on_ground() -> AsyncIterator[Ground]:
    """The cluster of the environment."""
    site = Site.from_env()
    async with (
        connected(site.kubeconfig) as api,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600)
        ) as http,
        following(api, SESSIONS, marks=session_marks) as sessions,
    ):
        yield Ground(site, api, http, sessions)
