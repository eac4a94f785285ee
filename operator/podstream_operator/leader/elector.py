"""Holds a Lease, so that one of several operators works and the others wait.

The rules are those of client-go's `tools/leaderelection`. `kubernetes.aio.leaderelection` (37.0)
is not used: a connection that breaks or times out ends its loop while the work goes on, a call has
five minutes, deadlines follow the wall clock, and nothing is released at the end.

    follower ── the Lease is free, or its holder was silent for its duration ──> leader
    leader   ── no renewal for `renew_deadline_s` ──> paused: the fence is shut, nothing is written
    paused   ── a renewal succeeds: nobody has taken the Lease meanwhile ──────> leader
    paused   ── no renewal for `duration_s`, or another holder is seen ────────> `LeadershipLost`

Others count a holder's silence from the moment that they have seen its last renewal; the holder
counts from before it sent it. So it has given up before anyone else may begin.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from podstream_operator.clock import Clock
from podstream_operator.errors import (
    ApiConflict,
    ApiError,
    ApiRejected,
    ApiUnavailable,
    ConfigError,
    LeadershipLost,
)
from podstream_operator.leader.fence import Fence
from podstream_operator.leader.lease import (
    Body,
    LeaseRecord,
    LeaseTiming,
    acquired,
    first_lease,
    released,
)

logger = logging.getLogger(__name__)

_JITTER: Final = 0.1


class LeaseClient(Protocol):
    """Calls about Leases; failures are those of `errors.ApiError`."""

    async def get_lease(self, namespace: str, name: str) -> Body | None:
        """Read a Lease."""
        ...

    async def create_lease(self, namespace: str, body: Body) -> Body:
        """Create a Lease.

        Raises:
            ApiConflict: it exists.
        """
        ...

    async def replace_lease(self, namespace: str, body: Body) -> Body | None:
        """Replace a Lease in the version that `body` names; `None` where it is gone.

        Raises:
            ApiConflict: it has changed since.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Sight:
    """A record, and when it was first seen."""

    record: LeaseRecord
    at: float


class Elector:
    """One candidate for one Lease. `acquire`, then `hold`, then `release`, each once."""

    def __init__(
        self,
        leases: LeaseClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: LeaseTiming,
        fence: Fence,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make a candidate.

        Args:
            leases: the API.
            namespace: where the Lease is.
            name: the Lease's name.
            identity: names this process among all candidates, never another one that may run.
            timing: how long a leader may be silent.
            fence: opened while this process leads; its clock decides.
            clock: the wall clock; it is written into the Lease and decides nothing.
            jitter: numbers in 0..1 that keep candidates from asking in step.
        """
        self._leases = leases
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._timing = timing
        self._fence = fence
        self._clock = clock
        self._patience_s = timing.renew_deadline_s / 3
        """For one attempt: a connection that hangs must leave time for others."""
        self._jitter = jitter
        self._body: Body | None = None
        """The Lease as this process has written it; `None` where it holds none."""
        self._renewed_at = float("-inf")
        self._sight: _Sight | None = None

    @property
    def holder(self) -> str | None:
        """Who was last seen holding the Lease."""
        return self._sight.record.holder if self._sight else None

    @property
    def has_looked(self) -> bool:
        """Whether the Lease, or its absence, was seen: the API answers and admits us."""
        return self._sight is not None

    def leads(self) -> bool:
        """Whether this process holds the Lease and may write."""
        return self._body is not None and self._fence.is_open()

    async def acquire(self) -> None:
        """Return once this process leads. An API that does not answer is asked again, for good.

        Raises:
            ConfigError: the API server refuses the very first request.
        """
        told: str | None = None
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    if await self._try():
                        break
            except ApiRejected as error:
                if not self.has_looked:
                    raise ConfigError(f"the operator's Role does not fit: {error}") from error
                logger.warning("Lease is refused", extra={"cause": str(error)})
            except (ApiUnavailable, TimeoutError) as error:
                logger.warning("Lease cannot be read", extra={"cause": _words(error)})
            if self.holder not in (None, told, self._identity):
                told = self.holder
                logger.info("another operator leads", extra={"holder": told})
            await asyncio.sleep(self._pause_s())
        logger.info(
            "this operator leads",
            extra={"lease": f"{self._namespace}/{self._name}", "identity": self._identity},
        )

    async def hold(self) -> None:
        """Renew for as long as possible; returns never.

        Raises:
            LeadershipLost: another process has the Lease, or may take it from now on.
        """
        timing = self._timing
        paused = False
        next_at = self._renewed_at + timing.retry_period_s
        while True:
            lost_at = self._renewed_at + timing.duration_s
            await asyncio.sleep(min(next_at, lost_at) - self._fence.now())
            now = self._fence.now()
            if now >= lost_at:
                raise LeadershipLost(f"the Lease was not renewed for {timing.duration_s:g} s")
            # From the attempt's begin: one that hangs has used up its pause.
            next_at = now + timing.retry_period_s
            try:
                async with asyncio.timeout(min(self._patience_s, lost_at - now)):
                    await self._renew()
            except LeadershipLost:
                self._fence.shut()
                raise
            except (ApiError, TimeoutError) as error:
                logger.warning("Lease is not renewed", extra={"cause": _words(error)})
            if paused is self._fence.is_open():
                paused = not paused
                logger.warning(
                    "nothing is written until the Lease is renewed"
                    if paused
                    else "the Lease is renewed, work goes on"
                )

    async def release(self) -> None:
        """Give the Lease to whoever comes first. All writes must have ended before.

        A failure is logged: the Lease then runs out by itself.
        """
        body, self._body = self._body, None
        self._fence.shut()
        if body is None or self._renewed_at + self._timing.duration_s <= self._fence.now():
            return
        try:
            async with asyncio.timeout(self._timing.retry_period_s):
                await self._leases.replace_lease(
                    self._namespace, released(body, now=self._clock.now())
                )
        except (ApiError, TimeoutError) as error:
            logger.warning("Lease is not released", extra={"cause": _words(error)})
        else:
            logger.info("Lease released", extra={"identity": self._identity})

    def _pause_s(self) -> float:
        """Until the next look at a Lease of another: sooner where it runs out before."""
        timing = self._timing
        pause = timing.retry_period_s * (1 - _JITTER + 2 * _JITTER * self._jitter())
        if self._sight is None or self._sight.record.holder is None:
            return pause
        left = self._sight.at + self._sight.record.duration_s - self._fence.now()
        return min(pause, left) if left > 0 else pause

    async def _try(self) -> bool:
        """Take the Lease if that is allowed; whether it is ours now."""
        body = await self._leases.get_lease(self._namespace, self._name)
        now = self._fence.now()
        record = LeaseRecord.from_body(body or {})
        if self._sight is None or self._sight.record != record:
            self._sight = _Sight(record, now)
        # A process with our own identity ran here before us and has ended.
        if record.holder not in (None, self._identity) and now < self._sight.at + record.duration_s:
            return False
        try:
            return await self._write(body)
        except ApiConflict:
            return False  # another candidate was faster

    async def _renew(self) -> None:
        """Renew once; by what was written last, which saves reading it.

        Raises:
            LeadershipLost: another process holds the Lease.
        """
        try:
            if await self._write(self._body):
                return
        except ApiConflict:
            pass  # written by somebody, or by us and the answer was lost
        body = await self._leases.get_lease(self._namespace, self._name)
        holder = LeaseRecord.from_body(body or {}).holder
        if body is not None and holder != self._identity:
            raise LeadershipLost(f"the Lease is held by {holder or 'nobody'}")
        try:
            await self._write(body)
        except ApiConflict as error:
            raise ApiUnavailable(f"the Lease keeps changing: {error}") from error

    async def _write(self, body: Body | None) -> bool:
        """Write the Lease as ours; `False` where it has vanished."""
        # From before the request: others may count from its arrival.
        sent_at = self._fence.now()
        now = self._clock.now()
        timing = self._timing
        if body is None:
            mine = first_lease(
                namespace=self._namespace,
                name=self._name,
                holder=self._identity,
                timing=timing,
                now=now,
            )
            stored: Body | None = await self._leases.create_lease(self._namespace, mine)
        else:
            mine = acquired(body, holder=self._identity, timing=timing, now=now)
            stored = await self._leases.replace_lease(self._namespace, mine)
        if stored is None:
            return False
        self._body = stored
        self._renewed_at = sent_at
        self._sight = _Sight(LeaseRecord.from_body(stored), sent_at)
        self._fence.open_until(sent_at + timing.renew_deadline_s)
        return True


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
