"""The workloads of the pod and what each has reported so far."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from podstream_core.agentapi import Failure
from podstream_core.api import Results
from podstream_core.api.base import ApiValue
from podstream_core.api.session import WORKLOADS
from podstream_workloads.agent.children import Child
from podstream_workloads.agent.lifecycle import WorkloadView
from podstream_workloads.agent.wire import ChildResults

logger = logging.getLogger(__name__)


class StoredArtefact(NamedTuple):
    """A file behind `GET /results/<name>`."""

    name: str
    path: Path
    size: int
    """Bytes."""
    sha256: str
    """Empty where the file may change."""
    later: Path | None = None
    """What a file that changes is called once it does not."""

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return bool(self.sha256)

    def current(self) -> "StoredArtefact | None":
        """The file as it is now; `None` where it is not there (any more)."""
        for path in (self.path, self.later):
            if path is not None and path.is_file():
                size = self.size if self.is_finished else path.stat().st_size
                return self._replace(path=path, size=size)
        return None


@dataclass(slots=True)
class Member:
    """One workload: its child and its reports."""

    child: Child
    roles: dict[str, int] = field(default_factory=dict)
    observers: tuple[str, ...] = ()
    """Roles that only look on."""
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the child has imported its workload."""
    is_finite: bool | None = None
    flush_seconds: float = 0.0
    """What it may take, once drained, to bring away what would be lost with the pod."""
    is_ready: bool = False
    is_done: bool = False
    failure: Failure | None = None
    figures: ApiValue | None = None
    artefacts: tuple[StoredArtefact, ...] = ()
    observed_at: datetime | None = None
    connect_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One connection at a time is made or replaced."""

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.child.name

    @property
    def is_serving(self) -> bool:
        """Whether connections can be given to it."""
        return self.is_ready and self.is_finite is not None and self.failure is None

    def view(self) -> WorkloadView:
        """What decisions see."""
        return WorkloadView(
            name=self.name,
            is_finite=self.is_finite,
            is_ready=self.is_ready,
            is_done=self.is_done,
            failure=self.failure,
        )

    def store(self, results: ChildResults, *, now: datetime) -> None:
        """Keep the newest results; those that the API does not know are dropped with a log line."""
        try:
            typed = Results.from_body({self.name: results.figures})
        except msgspec.ValidationError as error:
            logger.error("figures of workload %s are not of the API: %s", self.name, error)
            return
        self.figures = getattr(typed, WORKLOADS[self.name])
        self.observed_at = now
        self.artefacts = tuple(
            StoredArtefact(
                f"{self.name}-{item.name}",
                Path(item.path),
                item.size,
                item.sha256,
                Path(item.later) if item.later else None,
            )
            for item in results.artefacts
        )


class Roster:
    """All workloads whose children run or ran in this pod."""

    def __init__(self, make_child: Callable[[str], Child]) -> None:
        self._make_child = make_child
        self._members: dict[str, Member] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def start(self, name: str) -> Member:
        """Start a workload's child.

        Raises:
            OSError: no process can be started.
        """
        member = Member(self._make_child(name))
        member.child.start()
        self._members[name] = member
        return member

    def get(self, name: str) -> Member | None:
        """A workload, where it runs or ran."""
        return self._members.get(name)

    def pick(self, names: Iterable[str]) -> list[Member]:
        """Workloads by name, in the order given."""
        return [self._members[name] for name in names if name in self._members]

    def all(self) -> list[Member]:
        """Every workload."""
        return list(self._members.values())

    def results(self, *, final: bool) -> Results | None:
        """What has been measured; `None` before the first figures."""
        measured = [member for member in self._members.values() if member.figures is not None]
        if not measured:
            return None
        return Results(
            final=final,
            observed_at=max(member.observed_at for member in measured if member.observed_at),
            **{WORKLOADS[member.name]: member.figures for member in measured},  # type: ignore[arg-type]
        )

    def artefacts(self) -> list[StoredArtefact]:
        """Every artefact of every workload, also those that change still."""
        return [item for member in self._members.values() for item in member.artefacts]
