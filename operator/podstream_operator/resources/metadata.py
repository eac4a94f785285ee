"""Metadata that all children share: labels, owner, restricted security."""

from typing import Any, Final

from podstream_core import names
from podstream_core.api import StreamPool, StreamSession

POD_SECURITY: Final[dict[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Pod Security Standard `restricted`, with the numeric user of the images."""

CONTAINER_SECURITY: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def owner_reference(owner: StreamSession | StreamPool) -> dict[str, Any]:
    """Reference by which the garbage collector removes a child together with its owner."""
    kind = names.SESSION_KIND if isinstance(owner, StreamSession) else names.POOL_KIND
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_labels(owner: StreamSession | StreamPool, *, role: str | None = None) -> dict[str, str]:
    """Labels of a child of a session or a pool; a role only on pods."""
    own = names.LABEL_SESSION if isinstance(owner, StreamSession) else names.LABEL_POOL
    labels = {
        names.LABEL_NAME: "podstream-session",
        names.LABEL_PART_OF: "podstream",
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        own: owner.metadata.name,
    }
    return labels if role is None else {**labels, names.LABEL_ROLE: role}


def user_entries(entries: dict[str, str]) -> dict[str, str]:
    """Labels or annotations of `spec.pod` without those that mean something to podstream."""
    return {key: value for key, value in entries.items() if key.partition("/")[0] != names.GROUP}
