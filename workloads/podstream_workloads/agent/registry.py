"""Which class serves which workload.

Classes are named by strings and loaded only in the child process of their workload, so that the
agent stays free of media code.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from podstream_workloads.agent.workload import Workload

WORKLOAD_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "circle": "podstream_workloads.circle.workload:CircleWorkload",
        "imageOps": "podstream_workloads.imageops.workload:ImageOpsWorkload",
        "stream": "podstream_workloads.stream.workload:StreamWorkload",
        "tracking": "podstream_workloads.tracking.workload:TrackingWorkload",
    }
)
"""Member of the session's spec -> `module:Class` of its workload."""


def load_workload_class(target: str) -> type[Workload]:
    """Import the class that `module:Class` names.

    Raises:
        ValueError: the text is not `module:Class`, or the class is no `Workload`.
        ImportError: the module cannot be imported.
    """
    module_name, colon, class_name = target.partition(":")
    if not colon or not module_name or not class_name:
        raise ValueError(f"{target!r} is not module:Class")
    found = getattr(importlib.import_module(module_name), class_name, None)
    if not isinstance(found, type) or not issubclass(found, Workload):
        raise ValueError(f"{target} is no subclass of Workload")
    return found
