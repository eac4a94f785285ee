"""The API of group `podstream.dev`, parsed once at the edge into frozen values.

`crds/` is the single source of the API. The values here carry the same fields, defaults and
bounds, and a contract test holds the two together.
"""

from podstream_core.api.circle import Ball, Circle, CircleResults, Codec, Estimator, LatencyMs
from podstream_core.api.image_ops import (
    ImageOperationCounts,
    ImageOps,
    ImageOpsResults,
    ImageRejections,
)
from podstream_core.api.pool import (
    PoolCondition,
    PoolConditionType,
    PoolKey,
    PoolSpec,
    PoolStatus,
    StreamPool,
    Template,
    TemplateSpec,
)
from podstream_core.api.session import (
    Access,
    AccessMode,
    Client,
    CommonSpec,
    Metadata,
    Pod,
    PoolRef,
    RestartPolicy,
    SessionKey,
    SessionSpec,
    StreamSession,
)
from podstream_core.api.status import (
    AccessStatus,
    Condition,
    ConditionType,
    ConnectionStatus,
    Endpoint,
    Origin,
    Phase,
    PodStatus,
    Results,
    SessionStatus,
    Timeline,
)

__all__ = [
    "Access",
    "AccessMode",
    "AccessStatus",
    "Ball",
    "Circle",
    "CircleResults",
    "Client",
    "Codec",
    "CommonSpec",
    "Condition",
    "ConditionType",
    "ConnectionStatus",
    "Endpoint",
    "Estimator",
    "ImageOperationCounts",
    "ImageOps",
    "ImageOpsResults",
    "ImageRejections",
    "LatencyMs",
    "Metadata",
    "Origin",
    "Phase",
    "Pod",
    "PodStatus",
    "PoolCondition",
    "PoolConditionType",
    "PoolKey",
    "PoolRef",
    "PoolSpec",
    "PoolStatus",
    "RestartPolicy",
    "Results",
    "SessionKey",
    "SessionSpec",
    "SessionStatus",
    "StreamPool",
    "StreamSession",
    "Template",
    "TemplateSpec",
    "Timeline",
]
