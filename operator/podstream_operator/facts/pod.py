"""The part of a Pod that decisions look at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from podstream_core import names
from podstream_operator.facts.secret import controller_name, controller_uid

_MAIN_CONTAINER = {
    names.ROLE_SESSION: names.AGENT_CONTAINER,
    names.ROLE_CLIENT: names.CLIENT_CONTAINER,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run yet."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """How a container ended."""

    reason: str
    exit_code: int
    message: str
    """Termination message as the kubelet kept it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A session or client pod."""

    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    session: str
    """Name of the session that controls it, else by its label; empty on a pod that waits in its
    pool."""
    role: str
    pool: str = ""
    """Name of the pool in the labels, which stays when a session takes the pod; else of the pool
    that controls it."""
    shape: str = ""
    """Digest over what was fixed at its creation."""
    restart: int | None = None
    """Which of its session's pods it is: the number of the replacement."""
    managed: bool = True
    """Whether the labels name this operator."""
    owner_uid: str | None
    """UID of the controller in the owner references."""
    phase: str = "Pending"
    ready: bool = False
    """Whether the kubelet has found the agent up."""
    reason: str = ""
    """Reason of a pod that failed as a whole, as `Evicted`."""
    message: str = ""
    ip: str | None = None
    node: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    """Start of the container."""
    deletion_at: datetime | None = None
    """When a deletion's grace period ends."""
    unschedulable: str | None = None
    """The scheduler's message where no node fits."""
    waiting: Waiting | None = None
    terminated: Terminated | None = None
    gone: bool = False
    """The object was deleted; the rest is its last state."""

    @property
    def is_finished(self) -> bool:
        """Whether no container of the pod runs or will run again (`restartPolicy: Never`)."""
        return self.phase in ("Succeeded", "Failed") or self.terminated is not None

    @property
    def exists(self) -> bool:
        """Whether deleting it would still do something."""
        return not self.gone and self.deletion_at is None

    @property
    def is_warm(self) -> bool:
        """Whether it was started for a pool and no session has taken it over yet."""
        return self.role == names.ROLE_SESSION and self.pool != "" and self.session == ""

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Read a Pod. Members that the API server leaves out are taken as unset."""
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        status = body.get("status") or {}
        role = labels.get(names.LABEL_ROLE, "")
        state = _container_state(status, container=_MAIN_CONTAINER.get(role, ""))
        waiting = state.get("waiting")
        terminated = state.get("terminated")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            resource_version=metadata.get("resourceVersion", ""),
            # Labels are anybody's to edit: whose pod it is, its controller says.
            session=controller_name(metadata, kind=names.SESSION_KIND)
            or labels.get(names.LABEL_SESSION, ""),
            role=role,
            pool=labels.get(names.LABEL_POOL, "")
            or controller_name(metadata, kind=names.POOL_KIND),
            shape=labels.get(names.LABEL_SHAPE, ""),
            restart=_whole((metadata.get("annotations") or {}).get(names.ANNOTATION_RESTART)),
            managed=labels.get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER,
            owner_uid=controller_uid(metadata),
            phase=status.get("phase", "Pending"),
            ready=_is_ready(status),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            ip=status.get("podIP"),
            node=(body.get("spec") or {}).get("nodeName"),
            created_at=_time(metadata.get("creationTimestamp")),
            started_at=_time((state.get("running") or {}).get("startedAt")),
            deletion_at=_time(metadata.get("deletionTimestamp")),
            unschedulable=_unschedulable(status),
            waiting=Waiting(waiting.get("reason", ""), waiting.get("message", ""))
            if waiting
            else None,
            terminated=Terminated(
                terminated.get("reason", ""),
                int(terminated.get("exitCode", -1)),
                terminated.get("message", ""),
            )
            if terminated
            else None,
        )


def _container_state(status: dict[str, Any], *, container: str) -> dict[str, Any]:
    for item in status.get("containerStatuses") or []:
        if item.get("name") == container:
            state: dict[str, Any] = item.get("state") or {}
            return state
    return {}


def _unschedulable(status: dict[str, Any]) -> str | None:
    for item in status.get("conditions") or []:
        if (
            item.get("type") == "PodScheduled"
            and item.get("status") == "False"
            and item.get("reason") == "Unschedulable"
        ):
            return str(item.get("message", ""))
    return None


def _is_ready(status: dict[str, Any]) -> bool:
    return any(
        item.get("type") == "Ready" and item.get("status") == "True"
        for item in status.get("conditions") or []
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
