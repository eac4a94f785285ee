"""The orchestrator of a site: relays boxes from cameras to clients, and keeps timelines."""

from podstream_workloads.tracking.orchestrator.clock import Clock, SystemClock
from podstream_workloads.tracking.orchestrator.errors import StoreError
from podstream_workloads.tracking.orchestrator.figures import OrchestratorFigures, TimelineFigures
from podstream_workloads.tracking.orchestrator.server import Orchestrator
from podstream_workloads.tracking.orchestrator.settings import (
    AuthSettings,
    Limits,
    OrchestratorSettings,
)
from podstream_workloads.tracking.orchestrator.timelines.opening import store_of
from podstream_workloads.tracking.orchestrator.timelines.sqlite import SqliteTimelines
from podstream_workloads.tracking.orchestrator.timelines.values import TimelineStore

__all__ = [
    "AuthSettings",
    "Clock",
    "Limits",
    "Orchestrator",
    "OrchestratorFigures",
    "OrchestratorSettings",
    "SqliteTimelines",
    "StoreError",
    "SystemClock",
    "TimelineFigures",
    "TimelineStore",
    "store_of",
]
