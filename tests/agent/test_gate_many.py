"""Roles with many slots: reservations that nobody can claim do not shut anybody out."""

from datetime import UTC, datetime

from podstream_core.agentapi import ANONYMOUS, ConnectionGrant, Protocol
from podstream_workloads.agent.gate import Admitted, Gate, Refused

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def grant(holder: str, role: str = "camera") -> ConnectionGrant:
    return ConnectionGrant(
        session_uid="uid", workload="tracking", role=role, protocol=Protocol.HTTP, holder=holder
    )


def site(cameras: int) -> Gate:
    gate = Gate(reconnect_s=10, establish_s=30)
    gate.add_workload("tracking", roles={"camera": cameras, "client": 1})
    return gate


def enter(gate: Gate, holder: str, *, now: float, role: str = "camera") -> Admitted | Refused:
    found = gate.admit(grant(holder, role), connection_id=holder, since=SINCE, now=now)
    if isinstance(found, Admitted):
        gate.establish(holder)
    return found


def test_a_camera_that_returns_takes_the_place_that_is_kept_for_nobody() -> None:
    gate = site(cameras=2)
    for name in ("a", "b"):
        assert enter(gate, ANONYMOUS + name, now=0) == Admitted()
    full = enter(gate, ANONYMOUS + "c", now=1)
    assert isinstance(full, Refused)
    assert full.message == "the session has 2 places for a camera, all taken"
    gate.release(ANONYMOUS + "a", now=2)
    assert gate.is_taken
    assert enter(gate, ANONYMOUS + "c", now=3) == Admitted()
    assert isinstance(enter(gate, ANONYMOUS + "d", now=3), Refused)


def test_the_session_lives_on_by_the_reservation() -> None:
    gate = site(cameras=2)
    enter(gate, ANONYMOUS + "a", now=0)
    gate.release(ANONYMOUS + "a", now=1)
    assert gate.is_taken
    gate.tick(11.5)
    assert not gate.is_taken


def test_a_token_s_reservation_is_kept_for_it() -> None:
    gate = site(cameras=2)
    for name in ("a", "b"):
        enter(gate, name, now=0)
    gate.release("a", now=1)
    assert isinstance(enter(gate, ANONYMOUS + "c", now=2), Refused)
    assert enter(gate, "a", now=3) == Admitted()


def test_one_slot_is_kept_as_ever() -> None:
    gate = site(cameras=2)
    enter(gate, ANONYMOUS + "a", now=0, role="client")
    gate.release(ANONYMOUS + "a", now=1)
    assert isinstance(enter(gate, ANONYMOUS + "b", now=2, role="client"), Refused)
