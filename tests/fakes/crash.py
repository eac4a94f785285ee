"""An operator that dies in the middle of a step.

A killed process makes no call any more, and one call may be half made: it was not sent yet, or its
effect is there and its answer was lost. `Crash` counts the steps of one operator, that is its
writes to the API server and its orders to agents, stops the world for it at the chosen one, and
leaves the rest (ending the process, starting the next one) to the test. Whatever is no read counts
as a step, so that a write which is added to the operator later is counted by itself.
"""

import asyncio
from enum import StrEnum
from typing import Any, cast

from podstream_operator.agents import AgentClient
from podstream_operator.cluster import KubeClient
from podstream_operator.errors import ApiUnavailable

_READS = frozenset({"get_lease", "get_pod", "get_secret", "has_sessions_api", "state"})
_LEASE = frozenset({"create_lease", "replace_lease"})
"""Renewed by the clock, beside every life; dying around it is the elector's own subject."""
_BEST_EFFORT = frozenset({"create_event"})
"""Posted by a task of their own, at any time, and may be lost: no step of a life."""


class Moment(StrEnum):
    """When a process dies."""

    BEFORE = "before"
    """The call was decided and not made."""
    AFTER = "after"
    """The call has had its effect, and nobody has read its answer."""


class Crash:
    """Ends one operator's power to act at its n-th step."""

    def __init__(self, step: int, moment: Moment) -> None:
        self.happened = asyncio.Event()
        self.steps: list[str] = []
        """Every step so far, by the name of its call."""
        self._step = step
        self._moment = moment

    def kube(self, client: KubeClient) -> KubeClient:
        """The client to the API server as this operator gets it."""
        return cast(KubeClient, _Mortal(client, crash=self))

    def agents(self, client: AgentClient) -> AgentClient:
        """The client to agents as this operator gets it."""
        return cast(AgentClient, _Mortal(client, crash=self))

    async def call(self, name: str, method: Any, *args: Any, **kwargs: Any) -> Any:
        """Make a call, unless the process is dead by now; then it never returns."""
        if name == "close":
            return await method(*args, **kwargs)
        if self.happened.is_set():
            if name in _LEASE:
                raise ApiUnavailable("this process is dead")  # and gives no Lease back
            await _forever()
        if name in _LEASE or name in _READS or name in _BEST_EFFORT:
            answer = await method(*args, **kwargs)
            if self.happened.is_set():
                await _forever()
            return answer
        self.steps.append(name)
        if len(self.steps) == self._step:
            self.happened.set()
            if self._moment is Moment.AFTER:
                await method(*args, **kwargs)
            await _forever()
        answer = await method(*args, **kwargs)
        if self.happened.is_set():
            await _forever()
        return answer


class _Mortal:
    """A client whose calls go through a crash."""

    def __init__(self, client: Any, *, crash: Crash) -> None:
        self._client = client
        self._crash = crash

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name.startswith("list_"):
            return method  # an iterator; a process that is dead only looks

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._crash.call(name, method, *args, **kwargs)

        return call


async def _forever() -> None:
    await asyncio.Event().wait()
