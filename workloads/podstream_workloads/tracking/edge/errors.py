"""What can be wrong with a camera's edge; `reason` is what a status shows."""

from typing import ClassVar


class EdgeError(Exception):
    """Base of this package's errors."""

    reason: ClassVar[str] = "EdgeFailed"


class DetectorUnavailable(EdgeError):
    """The installed libraries lack what the chosen detector stands on."""

    reason = "DetectorUnavailable"


class ModelRejected(EdgeError):
    """A model's file is missing, unreadable or not laid out as expected."""

    reason = "ModelRejected"


class SourceFailed(EdgeError):
    """The camera's pictures cannot be opened or read."""

    reason = "SourceFailed"


class DescriptorRejected(EdgeError):
    """A feature map that is not a descriptor this edge can compare."""

    reason = "DescriptorRejected"
