"""The agent of a session pod, and what a workload must be to run under it.

The agent is process 1 of the pod: control API, assignment, gate, results, drain. Workloads run in
child processes of their own (`python -m podstream_workloads.agent.child <name>`); this package
imports no media code and names workloads only as strings (`registry`).
"""

from podstream_workloads.agent.joints import Joints
from podstream_workloads.agent.workload import (
    Artefact,
    BadOffer,
    Connection,
    MediaAddress,
    NotReady,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadError,
    WorkloadResults,
)

__all__ = [
    "Artefact",
    "BadOffer",
    "Connection",
    "Joints",
    "MediaAddress",
    "NotReady",
    "SpecRejected",
    "UnsupportedOffer",
    "Workload",
    "WorkloadContext",
    "WorkloadError",
    "WorkloadResults",
]
