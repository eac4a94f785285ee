"""StreamSession: metadata, spec and status as frozen values."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, Self

from msgspec import Meta, field

from podstream_core.api.base import ApiValue
from podstream_core.api.circle import Circle
from podstream_core.api.image_ops import ImageOps
from podstream_core.api.status import SessionStatus
from podstream_core.api.stream import SourceType, Stream
from podstream_core.api.tracking import CameraSourceType, Tracking

FROM_STREAM: Final = "Stream"
"""Source of a workload that looks at the frames of the session's stream."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")


class SessionKey(NamedTuple):
    """Identity of a session for queues, routes and log lines."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `namespace/name`.

        Raises:
            ValueError: the text is not two DNS labels with a slash between them.
        """
        namespace, slash, name = text.partition("/")
        if not slash or not _NAME.match(namespace) or not _NAME.match(name):
            raise ValueError(f"{text!r} is not namespace/name")
        return cls(namespace, name)


class AccessMode(StrEnum):
    """Who may connect."""

    TOKEN = "Token"
    """Whoever holds the token in the session's Secret."""
    PUBLIC = "Public"
    """Anyone: the first connection claims the pod."""


class Access(ApiValue, frozen=True, kw_only=True):
    """`spec.access`."""

    mode: AccessMode = AccessMode.TOKEN


class Client(ApiValue, frozen=True, kw_only=True):
    """`spec.client`."""

    built_in: bool = False
    """Run a headless client pod that connects through the router."""


class RestartPolicy(StrEnum):
    """What happens when the session's pod is lost before the session has ended."""

    NEVER = "Never"
    ON_POD_LOSS = "OnPodLoss"
    """One replacement pod."""


class Resources(ApiValue, frozen=True, kw_only=True):
    """Requests and limits of the session container, as Kubernetes quantities."""

    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Pod(ApiValue, frozen=True, kw_only=True):
    """`spec.pod`: the only pod settings a session may choose. Never an open PodSpec."""

    resources: Resources | None = None
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: list[dict[str, Any]] = []
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    image_pull_secrets: list[dict[str, str]] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PoolRef(ApiValue, frozen=True, kw_only=True):
    """`spec.poolRef`."""

    name: str
    """A StreamPool of the session's namespace."""


class CommonSpec(ApiValue, frozen=True, kw_only=True):
    """What the spec of a session and the template of a pool share."""

    circle: Circle | None = None
    image_ops: ImageOps | None = None
    stream: Stream | None = None
    tracking: Tracking | None = None
    access: Access = Access()
    startup_timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    idle_timeout_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    active_deadline_seconds: Annotated[int, Meta(ge=1, le=604_800)] = 3600
    ttl_seconds_after_finished: Annotated[int, Meta(ge=0, le=31_536_000)] = 86_400
    linger_seconds: Annotated[int, Meta(ge=0, le=3600)] = 300
    """How long the pod serves its artefacts after the session has completed."""
    reconnect_seconds: Annotated[int, Meta(ge=0, le=3600)] = 10
    """How long a slot stays reserved for a client that lost its connection."""
    results_interval_seconds: Annotated[int, Meta(ge=0, le=3600)] = 15
    """At most one write of live results per interval; 0 switches them off."""
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    pod: Pod = Pod()

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of the workloads that are set, in the order of the API."""
        return tuple(
            name for name, member in WORKLOADS.items() if getattr(self, member) is not None
        )

    @property
    def is_published(self) -> bool:
        """Whether a client's video comes in by WHIP."""
        if self.circle is not None and self.circle.source != FROM_STREAM:
            return self.circle.source == "Upload"
        if self.stream is not None and self.stream.source.type is SourceType.WHIP:
            return True
        camera = None if self.tracking is None else self.tracking.camera
        return camera is not None and camera.source.type is CameraSourceType.WHIP

    @property
    def onlookers(self) -> tuple[str, ...]:
        """Workloads that look at the frames of the session's stream, in the order of the API."""
        circle, image_ops, tracking = self.circle, self.image_ops, self.tracking
        looks = {
            "circle": circle is not None and circle.source == FROM_STREAM,
            "imageOps": image_ops is not None and image_ops.stream is not None,
            "tracking": tracking is not None and tracking.looks_at_stream,
        }
        return tuple(name for name, it_does in looks.items() if it_does)

    @property
    def reached_workloads(self) -> tuple[str, ...]:
        """Workloads that clients may connect to.

        A circle that looks at the stream's frames has no client: the stream's publisher is the
        pod's.
        """
        return tuple(
            name for name in self.workloads if name != "circle" or name not in self.onlookers
        )

    @property
    def needs_client(self) -> bool:
        """Whether nothing goes on until a client connects."""
        if self.stream is not None and not self.stream.source.is_client:
            return False
        if self.tracking is not None and not self.tracking.needs_client:
            return False
        return self.image_ops is None or self.image_ops.batch is None


class SessionSpec(CommonSpec, frozen=True, kw_only=True):
    """`spec` of a StreamSession."""

    client: Client = Client()
    listeners: list[str] = []
    """Router listeners that lead to this session; `Public` sessions only."""
    pool_ref: PoolRef | None = None


WORKLOADS: Final[Mapping[str, str]] = MappingProxyType(
    {"circle": "circle", "imageOps": "image_ops", "stream": "stream", "tracking": "tracking"}
)
"""Members of the spec and of the results that are workloads: name in the API -> in the values."""


class Metadata(ApiValue, frozen=True, kw_only=True):
    """The part of ObjectMeta that podstream reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}


class StreamSession(ApiValue, frozen=True, kw_only=True):
    """One client's session."""

    metadata: Metadata
    spec: SessionSpec
    status: SessionStatus = field(default_factory=SessionStatus)

    @property
    def key(self) -> SessionKey:
        """Namespace and name."""
        return SessionKey(self.metadata.namespace, self.metadata.name)
