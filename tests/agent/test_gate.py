from datetime import UTC, datetime

import msgspec
import pytest

from podstream_core.agentapi import ANONYMOUS, ConnectionGrant, Protocol
from podstream_workloads.agent.gate import Admitted, Gate, Refused, Tick

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
RECONNECT_S = 10.0
ESTABLISH_S = 30.0


def grant(holder: str, role: str = "player", workload: str = "circle") -> ConnectionGrant:
    return ConnectionGrant(
        session_uid="uid", workload=workload, role=role, protocol=Protocol.WHEP, holder=holder
    )


def make_gate() -> Gate:
    gate = Gate(reconnect_s=RECONNECT_S, establish_s=ESTABLISH_S)
    gate.add_workload("circle", roles={"player": 1, "viewer": 2})
    return gate


# Each step: (moment in seconds, what happens, what the gate says).
CASES = [
    pytest.param(
        [(0, "admit anna a1", Admitted()), (1, "admit bert b1", "Busy")],
        id="second-holder-is-busy",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (5, "admit anna a2", Admitted(replaces="a1")),
            (6, "release a1", False),
            (7, "admit bert b1", "Busy"),
        ],
        id="same-holder-replaces-its-own-attempt",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (0, "establish a1", True),
            (5, "admit anna a2", "Busy"),
            (6, "release a1", True),
            (7, "admit anna a3", Admitted()),
        ],
        id="same-holder-is-busy-while-its-connection-is-established",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (0, "establish a1", True),
            (20, "release a1", True),
            (29.9, "admit bert b1", "Busy"),
            (29.9, "admit anna a2", Admitted()),
            (31, "admit bert b2", "Busy"),
        ],
        id="holder-returns-within-reconnect-seconds",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (0, "establish a1", True),
            (20, "release a1", True),
            (30, "admit bert b1", Admitted()),
            (31, "admit anna a2", "Busy"),
        ],
        id="slot-is-free-when-the-reservation-expires",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (1, "release a1", True),
            (1, "admit bert b1", Admitted()),
        ],
        id="never-established-connection-reserves-nothing",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (0, "establish a1", True),
            (1, "release a1", True),
            (2, "admit anna a2", Admitted()),
            (3, "release a2", True),
            (12.9, "admit bert b1", "Busy"),
            (13, "admit bert b2", Admitted()),
        ],
        id="failed-return-keeps-the-reservation",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (29, "tick", Tick()),
            (30, "tick", Tick(overdue=("a1",))),
            (30, "release a1", True),
            (30, "admit bert b1", Admitted()),
        ],
        id="connection-that-is-not-established-is-overdue",
    ),
    pytest.param(
        [
            (0, "admit anna a1", Admitted()),
            (0, "establish a1", True),
            (500, "tick", Tick()),
            (500, "release a1", True),
            (510, "tick", Tick(expired=("a1",))),
        ],
        id="established-connection-has-no-deadline",
    ),
    pytest.param(
        [
            (0, "admit anna a1 viewer", Admitted()),
            (0, "admit bert b1 viewer", Admitted()),
            (0, "admit carl c1 viewer", "Busy"),
            (0, "admit carl c2 player", Admitted()),
        ],
        id="roles-are-counted-apart",
    ),
    pytest.param([(0, "admit anna a1 referee", "UnknownRole")], id="unknown-role"),
    pytest.param(
        [(0, "establish nobody", False), (0, "release nobody", False)], id="unknown-connection"
    ),
]


@pytest.mark.parametrize("steps", CASES)
def test_gate(steps: list[tuple[float, str, object]]) -> None:
    gate = make_gate()
    for now, action, expected in steps:
        verb, *words = action.split()
        result: object
        match verb, words:
            case "admit", [holder, connection, *role]:
                said = gate.admit(
                    grant(holder, *role), connection_id=connection, since=SINCE, now=now
                )
                result = said.error if isinstance(said, Refused) else said
            case "establish", [connection]:
                result = gate.establish(connection)
            case "release", [connection]:
                result = gate.release(connection, now=now)
            case _:
                result = gate.tick(now)
        assert result == expected, f"{action} at {now}"


def test_workload_without_the_role_is_unknown() -> None:
    said = make_gate().admit(
        grant("anna", workload="stream"), connection_id="a", since=SINCE, now=0
    )
    assert isinstance(said, Refused)
    assert said.error == "UnknownRole"


def test_removed_workload_leaves_no_slot() -> None:
    gate = make_gate()
    gate.admit(grant("anna"), connection_id="a1", since=SINCE, now=0)
    gate.remove_workload("circle")
    assert not gate.is_taken
    assert gate.capacities == {}


def test_without_reconnect_seconds_a_lost_slot_is_free_at_once() -> None:
    gate = Gate(reconnect_s=0, establish_s=ESTABLISH_S)
    gate.add_workload("circle", roles={"player": 1})
    gate.admit(grant("anna"), connection_id="a1", since=SINCE, now=0)
    gate.establish("a1")
    gate.release("a1", now=1)
    assert gate.admit(grant("bert"), connection_id="b1", since=SINCE, now=1) == Admitted()


def test_reserved_slot_is_shown_as_not_connected() -> None:
    gate = make_gate()
    gate.admit(grant("anna"), connection_id="a1", since=SINCE, now=0)
    gate.establish("a1")
    assert [item.connected for item in gate.connections()] == [True]
    gate.release("a1", now=1)
    assert [(item.id, item.connected) for item in gate.connections()] == [("a1", False)]
    assert gate.next_deadline() == 1 + RECONNECT_S
    assert gate.grant_of("a1") is None


def client(holder: str, workload: str, address: str = "192.0.2.1") -> ConnectionGrant:
    role = {"circle": "player", "imageOps": "caller"}[workload]
    return msgspec.structs.replace(grant(holder, role, workload), client_address=address)


def two_workloads() -> Gate:
    gate = Gate(reconnect_s=RECONNECT_S, establish_s=ESTABLISH_S)
    gate.add_workload("circle", roles={"player": 1})
    gate.add_workload("imageOps", roles={"caller": 1})
    return gate


def said(gate: Gate, asked: ConnectionGrant, connection: str, *, now: float = 1) -> object:
    answer = gate.admit(asked, connection_id=connection, since=SINCE, now=now)
    return answer.error if isinstance(answer, Refused) else answer


def test_one_client_has_a_slot_of_each_workload_and_nobody_else_any() -> None:
    gate = two_workloads()
    assert said(gate, client("anna", "circle"), "a1") == Admitted()
    assert said(gate, client("bert", "imageOps"), "b1") == "Busy", "free, but anna's session"
    assert said(gate, client("anna", "imageOps"), "a2") == Admitted()
    for workload in ("circle", "imageOps"):
        assert said(gate, client("bert", workload), "b2") == "Busy"


def test_the_publisher_of_a_shared_stream_is_the_pod_s_one_client() -> None:
    """Circle looks at the stream's frames and has no role; the caller has to be the publisher."""
    gate = Gate(reconnect_s=RECONNECT_S, establish_s=ESTABLISH_S)
    gate.add_workload("circle", roles={})
    gate.add_workload("imageOps", roles={"caller": 1})
    gate.add_workload("stream", roles={"publisher": 1, "viewer": 1}, observers=["viewer"])
    assert said(gate, grant("anna", "publisher", "stream"), "a1") == Admitted()
    assert said(gate, client("bert", "imageOps"), "b1") == "Busy"
    assert said(gate, grant("bert", "publisher", "stream"), "b2") == "Busy"
    assert said(gate, client("anna", "circle"), "a2") == "UnknownRole"
    assert said(gate, client("anna", "imageOps"), "a3") == Admitted()
    assert said(gate, grant("carl", "viewer", "stream"), "c1") == Admitted(), "only looks on"


def test_another_client_waits_until_both_workloads_are_free() -> None:
    gate = two_workloads()
    for workload, connection in (("circle", "a1"), ("imageOps", "a2")):
        said(gate, client("anna", workload), connection)
        gate.establish(connection)
    gate.release("a2", now=2)
    gate.release("a1", now=5)
    assert said(gate, client("bert", "imageOps"), "b1", now=13) == "Busy", "circle is kept"
    assert said(gate, client("bert", "imageOps"), "b1", now=15) == Admitted()
    assert said(gate, client("anna", "circle"), "a3", now=16) == "Busy"


def test_without_a_token_an_address_tells_clients_apart() -> None:
    gate = two_workloads()
    mine, other = "192.0.2.1", "192.0.2.2"
    assert said(gate, client(ANONYMOUS + "1", "circle", mine), "a1") == Admitted()
    assert said(gate, client(ANONYMOUS + "2", "imageOps", other), "b1") == "Busy"
    assert said(gate, client(ANONYMOUS + "3", "circle", mine), "a2") == "Busy"
    assert said(gate, client(ANONYMOUS + "4", "imageOps", mine), "a3") == Admitted()
    half_known = two_workloads()
    assert said(half_known, client("anna", "circle", mine), "a1") == Admitted()
    assert said(half_known, client(ANONYMOUS + "5", "imageOps", other), "b1") == "Busy"
    assert said(half_known, client(ANONYMOUS + "6", "imageOps", mine), "a2") == Admitted()
    assert said(half_known, client("bert", "circle", mine), "b2") == "Busy"


def test_observers_are_counted_but_hold_nothing() -> None:
    gate = Gate(reconnect_s=RECONNECT_S, establish_s=ESTABLISH_S)
    gate.add_workload("stream", roles={"publisher": 1, "viewer": 1}, observers=["viewer"])
    looking = grant("v", role="viewer", workload="stream")
    assert gate.admit(looking, connection_id="v1", since=SINCE, now=0) == Admitted()
    gate.establish("v1")
    assert (gate.is_taken, gate.was_connected) == (False, False)
    assert [item.observer for item in gate.connections()] == [True]
    other = grant("w", role="viewer", workload="stream")
    refused = gate.admit(other, connection_id="w1", since=SINCE, now=1)
    assert isinstance(refused, Refused)
    assert "1 places for a viewer" in refused.message
    gate.release("v1", now=2)
    assert gate.admit(other, connection_id="w2", since=SINCE, now=2) == Admitted()
    pushing = grant("p", role="publisher", workload="stream")
    assert gate.admit(pushing, connection_id="p1", since=SINCE, now=3) == Admitted()
    gate.establish("p1")
    assert (gate.is_taken, gate.was_connected) == (True, True)


def test_observers_keep_no_other_workload_from_its_client() -> None:
    gate = two_workloads()
    gate.add_workload("stream", roles={"publisher": 1, "viewer": 1}, observers=["viewer"])
    looking = grant("v", role="viewer", workload="stream")
    assert said(gate, looking, "v1") == Admitted()
    assert said(gate, client("anna", "circle"), "a1") == Admitted()
    gate.release("v1", now=2)
    assert said(gate, looking, "v2", now=3) == Admitted()
