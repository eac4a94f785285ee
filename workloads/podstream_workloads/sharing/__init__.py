"""Hands the frames of a session's stream to the other workloads of its pod.

Workloads are processes of their own (docs/adr/0002-contract.md), so frames go by shared memory:
`FrameServer` is the stream's end, `FrameReader` that of whoever looks on.
"""

from podstream_workloads.sharing.messages import Mark
from podstream_workloads.sharing.reader import FrameReader, SharedFrame
from podstream_workloads.sharing.server import FrameServer

__all__ = ["FrameReader", "FrameServer", "Mark", "SharedFrame"]
