"""Every call that the operator makes to the Kubernetes API.

Bodies are JSON-like dicts. Absence is a value (`None`), a conflict is `ApiConflict`, everything
else is `ApiUnavailable` (worth repeating) or `ApiRejected` (not by itself); no other exception
leaves an implementation.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Body = dict[str, Any]


class KubeClient(Protocol):
    """What the operator may do; the chart's Role grants exactly these calls."""

    async def has_sessions_api(self) -> bool:
        """Whether the API server serves StreamSession and StreamPool with their status."""
        ...

    def list_sessions(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All StreamSessions of a namespace; only a part of them is in memory at a time.

        With `metadata_only` nothing but their metadata, which costs a fraction.
        """
        ...

    def list_pools(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All StreamPools of a namespace, likewise."""
        ...

    def list_pods(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All pods of a namespace that carry the role label, likewise."""
        ...

    async def patch_session_status(
        self, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into the status; the whole object as stored, `None` where it is gone.

        A session of another UID under that name counts as gone.
        """
        ...

    async def patch_pool_status(
        self, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into a pool's status, as for a session."""
        ...

    async def delete_session(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a session in the background; nothing happens where it is gone."""
        ...

    async def create_pod(self, namespace: str, body: Body) -> Body:
        """Create a pod.

        Raises:
            ApiConflict: a pod of that name exists.
        """
        ...

    async def get_pod(self, namespace: str, name: str) -> Body | None:
        """Read a pod."""
        ...

    async def patch_pod(
        self, namespace: str, name: str, *, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into a pod; as stored, `None` where it, by the patch's UID, is gone."""
        ...

    async def delete_pod(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a pod; nothing happens where it, by UID, is gone."""
        ...

    async def get_secret(self, namespace: str, name: str) -> Body | None:
        """Read a Secret."""
        ...

    async def create_secret(self, namespace: str, body: Body) -> Body:
        """Create a Secret.

        Raises:
            ApiConflict: a Secret of that name exists.
        """
        ...

    async def patch_secret(self, namespace: str, name: str, *, patch: Mapping[str, Any]) -> None:
        """Merge a patch into a Secret; nothing happens where it is gone."""
        ...

    async def delete_secret(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a Secret; nothing happens where it, by UID, is gone."""
        ...

    async def create_event(self, namespace: str, body: Body) -> None:
        """Post an Event of `events.k8s.io/v1`."""
        ...

    async def get_lease(self, namespace: str, name: str) -> Body | None:
        """Read a Lease."""
        ...

    async def create_lease(self, namespace: str, body: Body) -> Body:
        """Create a Lease.

        Raises:
            ApiConflict: it exists.
        """
        ...

    async def replace_lease(self, namespace: str, body: Body) -> Body | None:
        """Replace a Lease in the version that `body` names; `None` where it is gone.

        Raises:
            ApiConflict: it has changed since.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
