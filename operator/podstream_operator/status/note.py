"""One Kubernetes Event, before it is posted."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`type` of an Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Note:
    """One Event."""

    severity: Severity
    reason: str
    action: str
    """What was being done, as `events.k8s.io/v1` asks for."""
    message: str
