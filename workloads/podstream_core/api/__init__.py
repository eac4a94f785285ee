"""The API of group `podstream.dev`, parsed once at the edge into frozen values.

`crds/` is the single source of the API. The values here carry the same fields, defaults and
bounds, and a contract test holds the two together.
"""

from podstream_core.api.circle import Ball, Circle, CircleResults, Codec, Estimator, LatencyMs
from podstream_core.api.session import (
    Access,
    AccessMode,
    Client,
    Metadata,
    Pod,
    RestartPolicy,
    SessionKey,
    SessionSpec,
    StreamSession,
)
from podstream_core.api.status import (
    AccessStatus,
    Condition,
    ConditionType,
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
    "Condition",
    "ConditionType",
    "Endpoint",
    "Estimator",
    "LatencyMs",
    "Metadata",
    "Origin",
    "Phase",
    "Pod",
    "PodStatus",
    "RestartPolicy",
    "Results",
    "SessionKey",
    "SessionSpec",
    "SessionStatus",
    "StreamSession",
    "Timeline",
]
