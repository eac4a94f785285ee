"""How well a run follows given truth: CLEAR, identity, HOTA and presence."""

from podstream_workloads.tracking.metrics.evaluate import Quality, evaluate
from podstream_workloads.tracking.metrics.mot import MotError, Sequence, read_mot, write_mot

__all__ = ["MotError", "Quality", "Sequence", "evaluate", "read_mot", "write_mot"]
