"""Holds one id per thing over time, from detections alone or with appearance."""

from podstream_workloads.tracking.edge.tracker.tracker import Tracker
from podstream_workloads.tracking.edge.tracker.tracks import Describe, Track, TrackerSettings

__all__ = ["Describe", "Track", "Tracker", "TrackerSettings"]
