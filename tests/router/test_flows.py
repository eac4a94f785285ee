from dataclasses import dataclass, field
from typing import Any

import pytest

from podstream_router.flows import (
    CONFIRMED_PER_POD,
    CONTESTED_GRACE_S,
    CONTESTED_S,
    MAX_TRANSACTIONS,
    SUPERSEDED_IDLE_S,
    TENTATIVE_S,
    CloseReason,
    Flow,
    FlowLimits,
    FlowTable,
)

LIMITS = FlowLimits(total=100, per_source=50, per_ufrag=3, per_pod=8, idle_s=30)


@dataclass
class Clock:
    """A table and the moment it is used at."""

    limits: FlowLimits = LIMITS
    now: float = 1000.0
    closed: list[tuple[Any, CloseReason]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = FlowTable(
            self.limits, on_close=lambda flow, reason: self.closed.append((flow.source, reason))
        )

    def admit(self, source: str, *, ufrag: str = "u", pod: str = "pod") -> Flow | None:
        host, _, port = source.partition(":")
        return self.table.admit(
            (host, int(port)), ufrag=ufrag, pod_uid=pod, target=("10.0.0.1", 20000), now=self.now
        )

    def confirmed(self, source: str, *, ufrag: str = "u", pod: str = "pod") -> Flow:
        flow = self.admit(source, ufrag=ufrag, pod=pod)
        assert flow is not None
        self.table.confirm(flow, now=self.now)
        return flow

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.table.sweep(self.now)

    def assert_nothing_is_left(self) -> None:
        assert len(self.table) == 0
        assert not self.table._by_pod
        assert not self.table._tentative_by


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_flow_that_is_never_confirmed_goes(clock: Clock) -> None:
    clock.admit("1.1.1.1:5")
    clock.after(TENTATIVE_S - 0.1)
    assert not clock.closed
    clock.after(0.1)
    assert clock.closed == [(("1.1.1.1", 5), "unconfirmed")]
    clock.assert_nothing_is_left()


def test_confirmed_flow_goes_when_the_client_is_silent(clock: Clock) -> None:
    flow = clock.confirmed("1.1.1.1:5")
    for _ in range(10):
        flow.active = True
        clock.after(29)
    assert not clock.closed
    clock.after(29)
    clock.after(1)
    assert clock.closed == [(("1.1.1.1", 5), "idle")]
    clock.assert_nothing_is_left()


def test_old_flow_stays_until_the_new_address_is_confirmed_and_then_goes_soon(
    clock: Clock,
) -> None:
    old = clock.confirmed("1.1.1.1:5")
    moved = clock.admit("2.2.2.2:6")
    assert moved is not None
    clock.after(SUPERSEDED_IDLE_S + 0.1)
    assert not old.closed

    clock.table.confirm(moved, now=clock.now)
    moved.active = True
    clock.after(SUPERSEDED_IDLE_S)
    assert old.closed
    assert not moved.closed


def test_second_path_that_is_used_stays(clock: Clock) -> None:
    """A browser keeps several confirmed pairs and pings each of them."""
    first, second = clock.confirmed("1.1.1.1:5"), clock.confirmed("2.2.2.2:6")
    for _ in range(20):
        first.active = second.active = True
        clock.after(5)
    assert not clock.closed


def test_address_that_turns_to_another_session_keeps_the_old_one_until_confirmed(
    clock: Clock,
) -> None:
    old = clock.confirmed("1.1.1.1:5", ufrag="old", pod="a")
    new = clock.admit("1.1.1.1:5", ufrag="new", pod="b")
    assert new is not None
    assert clock.table.confirmed[("1.1.1.1", 5)] is old
    clock.table.confirm(new, now=clock.now)
    assert clock.table.confirmed[("1.1.1.1", 5)] is new
    assert old.closed


def test_pod_that_goes_takes_its_flows_along(clock: Clock) -> None:
    gone, stays = clock.confirmed("1.1.1.1:5", pod="a"), clock.confirmed("1.1.1.1:6", pod="b")
    clock.admit("1.1.1.1:7", pod="a")
    clock.table.close_pod("a")
    assert gone.closed
    assert list(clock.table.confirmed.values()) == [stays]
    assert not clock.table.tentative


@pytest.mark.parametrize(
    ("limits", "vary", "limit"),
    [
        pytest.param(FlowLimits(100, 5, 50, 50, 30), "{n}.0.0.1:{n}", 50, id="many-sources"),
        pytest.param(FlowLimits(100, 5, 50, 50, 30), "1.0.0.1:{n}", 5, id="per-source"),
        pytest.param(FlowLimits(100, 50, 3, 50, 30), "{n}.0.0.1:{n}", 3, id="per-ufrag"),
        pytest.param(FlowLimits(100, 50, 50, 7, 30), "{n}.0.0.1:{n}", 7, id="per-pod"),
        pytest.param(FlowLimits(6, 50, 50, 50, 30), "{n}.0.0.1:{n}", 6, id="total"),
    ],
)
def test_tentative_flows_are_bounded(limits: FlowLimits, vary: str, limit: int) -> None:
    clock = Clock(limits)
    for number in range(1, 60):
        clock.admit(vary.format(n=number))
    assert len(clock.table) == limit
    clock.table.close_all()
    clock.assert_nothing_is_left()


def test_flood_does_not_lock_a_client_out(clock: Clock) -> None:
    for number in range(1, 60):
        clock.admit(f"6.6.6.{number}:1")
    flow = clock.admit("1.1.1.1:5")
    assert flow is not None
    clock.table.confirm(flow, now=clock.now)
    for number in range(1, 60):
        clock.admit(f"6.6.7.{number}:1")
    assert not flow.closed


def test_confirmed_flows_are_never_pushed_out_by_new_ones() -> None:
    clock = Clock(FlowLimits(total=2, per_source=9, per_ufrag=9, per_pod=9, idle_s=30))
    kept = [clock.confirmed("1.1.1.1:1", pod="a"), clock.confirmed("1.1.1.1:2", pod="b")]
    assert clock.admit("1.1.1.1:3") is None
    assert not any(flow.closed for flow in kept)


def test_one_client_cannot_take_every_place(clock: Clock) -> None:
    for number in range(CONFIRMED_PER_POD + 20):
        clock.confirmed(f"1.1.1.1:{number + 1}")
        clock.now += 0.01
    assert len(clock.table.confirmed) == CONFIRMED_PER_POD
    assert (("1.1.1.1", CONFIRMED_PER_POD + 20)) in clock.table.confirmed


def test_transactions_are_bounded(clock: Clock) -> None:
    flow = clock.admit("1.1.1.1:5")
    assert flow is not None
    for number in range(MAX_TRANSACTIONS + 5):
        flow.remember(bytes([number]))
    assert len(flow.transactions) == MAX_TRANSACTIONS
    assert bytes([MAX_TRANSACTIONS + 4]) in flow.transactions


def test_closing_twice_changes_nothing(clock: Clock) -> None:
    flow = clock.confirmed("1.1.1.1:5")
    clock.table.close(flow, "idle")
    clock.table.close(flow, "idle")
    assert len(clock.closed) == 1


@pytest.mark.parametrize("heard", [False, True], ids=["silent", "heard"])
def test_flow_that_another_replica_took_over_stays_only_where_its_client_is_heard(
    clock: Clock, *, heard: bool
) -> None:
    flow = clock.confirmed("1.1.1.1:5")
    returned: list[Flow] = []
    clock.table.on_return = returned.append
    flow.active = True
    clock.table.contest(flow, now=clock.now)
    clock.after(CONTESTED_GRACE_S / 2)
    # What was still on its way proves nothing.
    flow.active = True
    clock.after(CONTESTED_GRACE_S / 4)
    assert (returned, clock.closed) == ([], [])
    flow.active = heard
    clock.after(CONTESTED_S)
    if heard:
        assert (returned, clock.closed) == ([flow], [])
        clock.after(CONTESTED_S)
        assert (returned, clock.closed) == ([flow], [])
    else:
        assert (returned, clock.closed) == ([], [(("1.1.1.1", 5), "superseded")])
