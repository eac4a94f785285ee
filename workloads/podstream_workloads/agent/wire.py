"""What agent and child say to each other: HTTP bodies, events, and the socket message.

Both ends are always of the same release, because the child is started from the agent's own
installation: nothing here is versioned.

* Calls: HTTP over a unix socket that the agent has made, JSON bodies, errors as `ErrorBody`.
* Events: `GET /events`, an endless answer of one JSON object a line; its end is the child's end.
* TCP connections: one message on a SOCK_SEQPACKET pair, a `Connection` with one descriptor.
"""

from enum import StrEnum
from typing import Any, Final

from podstream_core.agentapi import SessionRef
from podstream_core.api import SessionSpec
from podstream_core.api.base import ApiValue
from podstream_workloads.agent.workload import Connection, MediaAddress

MAX_LINE_BYTES: Final = 256 * 1024
"""Longest event or body; figures are small."""
MAX_CALL_BYTES: Final = 512 * 1024
"""Longest body of a call: a spec has at most 256 KiB inside its token."""


class Launch(ApiValue, frozen=True, kw_only=True):
    """The child's only argument, as JSON."""

    workload: str
    target: str
    """`module:Class`."""
    http_fd: int
    """Listening unix socket."""
    stream_fd: int
    """The child's end of the SOCK_SEQPACKET pair."""
    agent_pid: int
    """The child ends when this is no longer its parent."""
    log_level: str
    log_format: str


class ConfigureCall(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /configure`."""

    session: SessionRef
    spec: SessionSpec
    media: MediaAddress
    artefact_dir: str
    volumes_dir: str
    shared_dir: str


class ConfigureReply(ApiValue, frozen=True, kw_only=True):
    """Answer of `POST /configure`."""

    is_finite: bool
    roles: dict[str, int]
    """Slots of this session, by role."""
    observers: list[str] = []
    flush_seconds: float = 0.0
    """What the workload's `flush` may take."""


class FlushCall(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /flush`, which is answered as `POST /drain` is."""

    seconds: float


class WhepCall(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /whep`."""

    connection: Connection
    offer_sdp: str


class WhepReply(ApiValue, frozen=True, kw_only=True):
    """Answer of `POST /whep`."""

    answer_sdp: str


class DisconnectCall(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /disconnect`."""

    connection_id: str


class MediaPathReply(ApiValue, frozen=True, kw_only=True):
    """Answer of `POST /media-path`, whose body is the API's `MediaPath`."""

    is_moved: bool
    """False where none of the workload's connections listens on the port."""


class Acknowledged(ApiValue, frozen=True, kw_only=True):
    """Answer of calls that have nothing to say."""


class ArtefactInfo(ApiValue, frozen=True, kw_only=True):
    """A file of a workload."""

    name: str
    path: str
    size: int
    """Bytes."""
    sha256: str
    """Empty where the file may change."""
    later: str = ""
    """What a file that changes is called once it does not."""


class ChildResults(ApiValue, frozen=True, kw_only=True):
    """Results as they leave the child; the answer of `POST /drain`."""

    figures: dict[str, Any]
    artefacts: list[ArtefactInfo] = []


class EventKind(StrEnum):
    """What a child reports."""

    HELLO = "hello"
    """The workload's class is loaded; carries its roles."""
    READY = "ready"
    ESTABLISHED = "established"
    LOST = "lost"
    FIRST_FRAME = "firstFrame"
    RESULTS = "results"
    DONE = "done"
    FAILED = "failed"


class Event(ApiValue, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `GET /events`."""

    kind: EventKind
    roles: dict[str, int] = {}
    connection_id: str = ""
    reason: str = ""
    message: str = ""
    results: ChildResults | None = None
