"""StreamPool: metadata, spec and status as frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, field

from podstream_core.api.base import ApiValue
from podstream_core.api.session import AccessMode, CommonSpec, Metadata
from podstream_core.api.status import AccessStatus, Endpoint


@dataclass(frozen=True, slots=True, order=True)
class PoolKey:
    """Identity of a pool for queues, routes and log lines. Never equal to a session's key."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class TemplateSpec(CommonSpec, frozen=True, kw_only=True):
    """`spec.template.spec`: a session's spec without what belongs to one session alone."""

    ttl_seconds_after_finished: Annotated[int, Meta(ge=0, le=31_536_000)] = 600


class Template(ApiValue, frozen=True, kw_only=True):
    """`spec.template`."""

    spec: TemplateSpec


class PoolSpec(ApiValue, frozen=True, kw_only=True):
    """`spec` of a StreamPool."""

    template: Template
    warm: Annotated[int, Meta(ge=0, le=500)] = 1
    """Idle pods that are kept ready."""
    max: Annotated[int, Meta(ge=1, le=5000)] = 10
    """Pods at a time, idle and in use; those that linger after their session do not count."""
    listeners: list[str] = []
    """Router listeners that feed the pool; `Public` templates only."""
    allow_unreferenced: bool = False
    """Whether sessions without `poolRef` may take its warm pods."""
    max_per_source: Annotated[int, Meta(ge=0, le=5000)] = 0
    """Live sessions that the connections of one client address may have; 0: no limit."""
    history_limit: Annotated[int, Meta(ge=0, le=5000)] = 100
    """Ended sessions of connections that are kept."""


class PoolConditionType(StrEnum):
    """Conditions of a pool."""

    READY = "Ready"
    """Summary: a connection finds a pod."""
    ROLLED_OUT = "RolledOut"
    """Every idle pod is as the template says."""
    LISTENERS_ACCEPTED = "ListenersAccepted"


class PoolCondition(ApiValue, frozen=True, kw_only=True):
    """One condition, as `metav1.Condition`."""

    type: PoolConditionType
    status: str
    """True, False or Unknown."""
    reason: str
    message: str = ""
    last_transition_time: datetime | None = None
    observed_generation: int = 0


class PoolStatus(ApiValue, frozen=True, kw_only=True):
    """`status` of a StreamPool; written by the operator alone."""

    observed_generation: int = 0
    warm: int = 0
    """Idle pods that are ready."""
    starting: int = 0
    """Idle pods that are not ready yet."""
    in_use: int = 0
    """Pods that belong to a session that has not ended."""
    lingering: int = 0
    """Pods that keep the artefacts of an ended session."""
    waiting: int = 0
    """Connections that wait for a pod, as the routers told last."""
    shape: str | None = None
    selector: str | None = None
    """Label selector of the pool's pods, for the scale subresource."""
    access: AccessStatus | None = None
    endpoints: list[Endpoint] = []
    conditions: list[PoolCondition] = []

    def condition(self, kind: PoolConditionType) -> PoolCondition | None:
        """The condition of this type, where it is set."""
        return next((item for item in self.conditions if item.type == kind), None)


class StreamPool(ApiValue, frozen=True, kw_only=True):
    """Pods kept warm for connections and sessions."""

    metadata: Metadata
    spec: PoolSpec
    status: PoolStatus = field(default_factory=PoolStatus)

    @property
    def key(self) -> PoolKey:
        """Namespace and name."""
        return PoolKey(self.metadata.namespace, self.metadata.name)

    @property
    def is_public(self) -> bool:
        """Whether connections come without a token."""
        return self.spec.template.spec.access.mode is AccessMode.PUBLIC
