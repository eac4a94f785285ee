"""Who leads: candidates for one Lease against the fake API server, and what they write into it."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from fakes.clock import MovableClock
from fakes.kube_api import FakeKubeApi, running_kube_api
from fakes.world import eventually
from podstream_operator.cluster.aio_client import AioKubeClient
from podstream_operator.errors import ConfigError, LeadershipLost, NotLeading
from podstream_operator.leader import Elector, Fence, LeaseTiming
from podstream_operator.leader.lease import LeaseRecord, acquired, first_lease, released

NAMESPACE = "podstream"
NAME = "podstream-operator"
LEASES = "/leases"
TIMING = LeaseTiming(duration_s=1.0, renew_deadline_s=0.6, retry_period_s=0.1)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@dataclass
class Candidate:
    """One operator process, as far as its Lease goes."""

    elector: Elector
    fence: Fence
    kube: AioKubeClient
    clock: MovableClock
    task: asyncio.Task[None] | None = field(default=None)

    async def _run(self) -> None:
        await self.elector.acquire()
        await self.elector.hold()

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())

    async def lead(self) -> "Candidate":
        if self.task is None:
            self.start()
        await eventually(self.elector.leads)
        return self

    async def crash(self) -> None:
        """End without a word."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError, LeadershipLost):
            await self.task

    async def stop(self) -> None:
        """End as a process does that is told to."""
        await self.crash()
        await self.elector.release()

    async def lost(self) -> str:
        """Wait until it gives up; its last words."""
        assert self.task is not None
        with pytest.raises(LeadershipLost) as raised:
            await asyncio.wait_for(self.task, timeout=5)
        return str(raised.value)


class Office:
    """A fake API server and the candidates of a test."""

    def __init__(self, api: FakeKubeApi) -> None:
        self.api = api
        self.candidates: list[Candidate] = []

    def candidate(self, identity: str, *, now: Callable[[], float] | None = None) -> Candidate:
        fence = Fence(now=now) if now else Fence()
        kube = AioKubeClient(
            Configuration(host=self.api.url), observer=_ignore, may_write=fence.is_open
        )
        clock = MovableClock()
        elector = Elector(
            kube,
            namespace=NAMESPACE,
            name=NAME,
            identity=identity,
            timing=TIMING,
            fence=fence,
            clock=clock,
            jitter=lambda: 0.5,
        )
        made = Candidate(elector, fence, kube, clock)
        self.candidates.append(made)
        return made

    @property
    def record(self) -> LeaseRecord:
        return LeaseRecord.from_body(self.api.get("leases", NAMESPACE, NAME) or {})


def _ignore(*, verb: str, resource: str, code: str) -> None:
    """Nobody counts here."""


@asynccontextmanager
async def running_office() -> AsyncIterator[Office]:
    async with running_kube_api() as api:
        made = Office(api)
        try:
            yield made
        finally:
            for candidate in made.candidates:
                if candidate.task is not None:
                    await candidate.crash()
                await candidate.kube.close()


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with running_office() as made:
        yield made


def renewed_since(office: Office, count: int) -> bool:
    return len(office.api.lease_writes) > count


def seconds() -> float:
    return asyncio.get_running_loop().time()


# What is written


def test_first_lease_names_its_holder() -> None:
    body = first_lease(namespace=NAMESPACE, name=NAME, holder="a", timing=LeaseTiming(), now=NOON)
    assert body == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-07-01T12:00:00.000000Z",
            "renewTime": "2026-07-01T12:00:00.000000Z",
            "leaseTransitions": 0,
        },
    }


def _lease(holder: str = "a") -> dict[str, Any]:
    return first_lease(
        namespace=NAMESPACE, name=NAME, holder=holder, timing=LeaseTiming(), now=NOON
    )


def test_renewal_moves_nothing_but_its_time() -> None:
    later = NOON + timedelta(seconds=2)
    renewed = acquired(_lease(), holder="a", timing=LeaseTiming(), now=later)
    assert renewed["spec"] == _lease()["spec"] | {"renewTime": "2026-07-01T12:00:02.000000Z"}


def test_takeover_counts_as_a_transition() -> None:
    later = NOON + timedelta(seconds=20)
    taken = acquired(_lease(), holder="b", timing=LeaseTiming(), now=later)
    assert taken["spec"] == {
        "holderIdentity": "b",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-07-01T12:00:20.000000Z",
        "renewTime": "2026-07-01T12:00:20.000000Z",
        "leaseTransitions": 1,
    }


def test_released_lease_has_no_holder() -> None:
    free = released(_lease(), now=NOON)
    assert "holderIdentity" not in free["spec"]
    assert LeaseRecord.from_body(free).holder is None
    assert free["spec"]["leaseDurationSeconds"] == 1, "the API refuses 0"


@pytest.mark.parametrize(
    ("duration_s", "deadline_s", "retry_s"), [(10, 10, 2), (15, 2, 2), (15, 10, 0)]
)
def test_timing_that_cannot_work_is_refused(
    duration_s: float, deadline_s: float, retry_s: float
) -> None:
    with pytest.raises(ValueError, match="duration > deadline"):
        LeaseTiming(duration_s=duration_s, renew_deadline_s=deadline_s, retry_period_s=retry_s)


# Taking turns


async def test_one_of_many_leads(office: Office) -> None:
    many = [office.candidate(f"operator-{number}") for number in range(5)]
    for one in many:
        one.start()
    await eventually(lambda: any(one.elector.leads() for one in many))
    until = seconds() + 1.2 * TIMING.duration_s
    while seconds() < until:
        assert sum(one.elector.leads() for one in many) == 1
        await asyncio.sleep(0.01)
    assert office.record.transitions == 0


async def test_released_lease_is_taken_at_the_next_look(office: Office) -> None:
    first = await office.candidate("a").lead()
    second = office.candidate("b")
    second.start()
    await eventually(lambda: second.elector.holder == "a")
    await first.stop()
    begun = seconds()
    await second.lead()
    assert seconds() - begun < TIMING.duration_s / 2
    assert (office.record.holder, office.record.transitions) == ("b", 1)


async def test_start_after_a_release_does_not_wait(office: Office) -> None:
    await (await office.candidate("a").lead()).stop()
    begun = seconds()
    await office.candidate("b").lead()
    assert seconds() - begun < TIMING.duration_s / 2


async def test_crashed_leader_is_followed_when_its_lease_has_run_out(office: Office) -> None:
    first = await office.candidate("a").lead()
    second = office.candidate("b")
    second.start()
    await eventually(lambda: second.elector.holder == "a")
    await first.crash()
    begun = seconds()
    while not second.elector.leads():
        assert seconds() - begun < 1.5 * TIMING.duration_s
        await asyncio.sleep(0.005)
    assert seconds() - begun > TIMING.duration_s - 2 * TIMING.retry_period_s
    assert not first.elector.leads()


async def test_newcomer_watches_a_silent_holder_for_the_whole_duration(office: Office) -> None:
    """The renewal is months old by its own time, which says nothing: clocks may be wrong."""
    body = _lease("silent")
    body["spec"]["leaseDurationSeconds"] = 1
    await office.api.create("leases", body)
    begun = seconds()
    await office.candidate("b").lead()
    assert 1.0 <= seconds() - begun < 2.0


async def test_container_that_restarts_in_its_pod_goes_on_at_once(office: Office) -> None:
    first = await office.candidate("pod_uid").lead()
    await first.crash()
    begun = seconds()
    await office.candidate("pod_uid").lead()
    assert seconds() - begun < TIMING.duration_s / 2
    assert office.record.transitions == 0


# Trouble with the API


@pytest.mark.parametrize("status", [500, 503, 429, 409, 403, 0])
async def test_short_outage_changes_nothing(office: Office, status: int) -> None:
    """Each failure a leader may meet, for less than its deadline; 0: no answer at all."""
    one = await office.candidate("a").lead()
    fault = office.api.fail("PUT", LEASES, status=status, times=2)
    await eventually(lambda: fault.times == 0)
    renewals = len(office.api.lease_writes)
    await eventually(lambda: len(office.api.lease_writes) > renewals + 1)
    assert one.elector.leads()
    assert one.task is not None
    assert not one.task.done()


async def test_answer_that_was_lost_is_no_conflict(office: Office) -> None:
    one = await office.candidate("a").lead()
    fault = office.api.fail("PUT", LEASES, status=504, after=True)
    await eventually(lambda: fault.times == 0)
    renewals = len(office.api.lease_writes)
    await eventually(lambda: len(office.api.lease_writes) > renewals + 2)
    assert one.elector.leads()


async def test_longer_outage_pauses_and_goes_on(office: Office) -> None:
    """Past the deadline nothing is written; a renewal then proves that nobody led meanwhile."""
    one = await office.candidate("a").lead()
    fault = office.api.fail("PUT", LEASES, status=500, times=10**6)
    await eventually(lambda: not one.fence.is_open())
    with pytest.raises(NotLeading):
        await one.kube.create_event(NAMESPACE, {"metadata": {"name": "e"}})
    fault.times = 0
    await eventually(one.elector.leads)
    await one.kube.create_event(NAMESPACE, {"metadata": {"name": "e"}})
    assert office.record.transitions == 0


@pytest.mark.parametrize("status", [500, 0], ids=["refused", "hangs"])
async def test_long_outage_ends_the_leader_before_another_begins(
    office: Office, status: int
) -> None:
    first = await office.candidate("a").lead()
    second = office.candidate("b")
    second.start()
    await eventually(lambda: second.elector.holder == "a")
    fault = office.api.fail("PUT", LEASES, status=status, times=10**6)
    begun = seconds()
    await first.lost()
    assert seconds() - begun < 1.5 * TIMING.duration_s
    assert not first.fence.is_open()
    # The follower sees a Lease that it may not take yet: nobody is let in too early.
    assert second.elector.holder == "a"
    fault.times = 0
    await second.lead()
    assert office.record.holder == "b"


async def test_last_words_of_a_leader_without_an_api(office: Office) -> None:
    one = await office.candidate("a").lead()
    office.api.fail("PUT", LEASES, status=500, times=10**6)
    assert await one.lost() == "the Lease was not renewed for 1 s"


async def test_lease_taken_by_another_ends_the_leader_at_once(office: Office) -> None:
    one = await office.candidate("a").lead()

    def take(body: dict[str, Any]) -> None:
        body["spec"]["holderIdentity"] = "thief"

    await office.api.edit("leases", NAMESPACE, NAME, take)
    begun = seconds()
    assert await one.lost() == "the Lease is held by thief"
    assert seconds() - begun < TIMING.duration_s / 2
    assert not one.fence.is_open()


async def test_lease_edited_by_somebody_is_renewed(office: Office) -> None:
    one = await office.candidate("a").lead()

    def note(body: dict[str, Any]) -> None:
        body["metadata"]["annotations"] = {"note": "kept"}

    await office.api.edit("leases", NAMESPACE, NAME, note)
    renewals = len(office.api.lease_writes)
    await eventually(lambda: len(office.api.lease_writes) > renewals + 2)
    assert one.elector.leads()
    stored = office.api.get("leases", NAMESPACE, NAME)
    assert stored is not None
    assert stored["metadata"]["annotations"] == {"note": "kept"}


async def test_deleted_lease_is_made_again(office: Office) -> None:
    one = await office.candidate("a").lead()
    await office.api.remove("leases", NAMESPACE, NAME)
    await eventually(lambda: office.record.holder == "a")
    assert one.elector.leads()


async def test_candidate_waits_for_an_api_that_does_not_answer(office: Office) -> None:
    fault = office.api.fail("GET", LEASES, status=500, times=10**6)
    one = office.candidate("a")
    one.start()
    await eventually(lambda: fault.times < 10**6 - 2)
    assert not one.elector.has_looked
    fault.times = 0
    await one.lead()


async def test_missing_rights_are_named(office: Office) -> None:
    office.api.fail("GET", LEASES, status=403, message="leases is forbidden")
    with pytest.raises(ConfigError, match=r"Role does not fit.*leases is forbidden"):
        await office.candidate("a").elector.acquire()


async def test_rights_that_vanish_later_are_waited_for(office: Office) -> None:
    await office.candidate("a").lead()
    second = office.candidate("b")
    second.start()
    await eventually(lambda: second.elector.has_looked)
    fault = office.api.fail("GET", LEASES, status=403, times=2)
    await eventually(lambda: fault.times == 0)
    assert second.task is not None
    assert not second.task.done()


async def test_release_that_fails_is_no_failure(office: Office) -> None:
    one = await office.candidate("a").lead()
    office.api.fail("PUT", LEASES, status=500, times=10**6)
    await one.stop()
    assert not one.fence.is_open()
    assert office.record.holder == "a"


async def test_lost_lease_is_not_released(office: Office) -> None:
    """It is another's by then."""
    one = await office.candidate("a").lead()
    fault = office.api.fail("PUT", LEASES, status=500, times=10**6)
    await one.lost()
    fault.times = 0
    tried = len(office.api.lease_writes)
    await one.elector.release()
    assert len(office.api.lease_writes) == tried


# Clocks


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_wall_clock_decides_nothing(office: Office, jump_s: float) -> None:
    """NTP steps the leader's clock, then the follower's."""
    first = await office.candidate("a").lead()
    second = office.candidate("b")
    second.start()
    await eventually(lambda: second.elector.holder == "a")
    for one in (first, second):
        one.clock.advance(jump_s)
        renewals = len(office.api.lease_writes)
        await eventually(functools.partial(renewed_since, office, renewals + 3))
        assert first.elector.leads()
        assert not second.elector.leads()


async def test_process_that_was_stopped_does_not_write_when_it_goes_on(office: Office) -> None:
    """SIGSTOP, or a machine that slept: the fence knows before the elector has run."""
    skipped_s = 0.0
    one = office.candidate("a", now=lambda: seconds() + skipped_s)
    await one.lead()
    skipped_s = 60.0
    with pytest.raises(NotLeading):
        await one.kube.create_event(NAMESPACE, {"metadata": {"name": "e"}})
    assert await one.lost() == "the Lease was not renewed for 1 s"


async def test_fence_lets_nothing_but_leases_pass(office: Office) -> None:
    one = office.candidate("a")
    with pytest.raises(NotLeading, match="does not lead"):
        await one.kube.create_pod(NAMESPACE, {"metadata": {"name": "p"}})
    with pytest.raises(NotLeading):
        await one.kube.delete_pod(NAMESPACE, "p", uid="u")
    assert await one.kube.get_pod(NAMESPACE, "p") is None, "reading is free"
    assert office.api.writes == []
