"""What replicas know of each other's flows: messages, the table, and what is still to be said."""

import time
from typing import Any

import pytest

from podstream_core.tokens import SigningKey
from podstream_router.peers.messages import (
    MAX_ENTRY_BYTES,
    FlowEntry,
    Hearsay,
    PeerMessage,
    Seal,
    SealError,
)
from podstream_router.peers.outbox import Outbox, OwnFlows
from podstream_router.peers.table import (
    EXPIRY_S,
    MAX_REPLICAS,
    TAKE_AGAIN_S,
    Announced,
    AnnouncedFlows,
)

ANNA = ("192.0.2.1", 40_000)
BERT = ("192.0.2.2", 40_000)


def entry(source: tuple[str, int] = ANNA, *, ufrag: str = "u", taken_from: str = "") -> FlowEntry:
    return FlowEntry(*source, ufrag, taken_from)


def message(number: int = 1, *, sender: str = "a", is_all: bool = True, **rest: Any) -> PeerMessage:
    return PeerMessage(sender=sender, number=number, admin_port=8082, is_all=is_all, **rest)


def table(*messages: PeerMessage, max_flows: int = 8) -> AnnouncedFlows:
    made = AnnouncedFlows(max_flows=max_flows)
    for item in messages:
        made.apply(item, now=0.0)
    return made


# -- seal


def test_message_comes_back_as_it_was() -> None:
    seal = Seal([SigningKey.generate()])
    said = message(
        time.time_ns(), flows=[entry()], gone=[BERT], others=[Hearsay("b", 3, [entry(BERT)])]
    )
    assert seal.open(seal.close(said)) == said


def test_keys_before_a_rotation_still_open() -> None:
    old, new = SigningKey.generate(), SigningKey.generate()
    before, after = Seal([old]), Seal([new, old])
    said = message(time.time_ns())
    assert after.open(before.close(said)) == said
    with pytest.raises(SealError, match="key"):
        before.open(after.close(said))
    assert before.open(after.close(said, key=1)) == said


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:40], id="cut"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), id="changed"),
        pytest.param(lambda data: bytes(32) + data[32:], id="other-mac"),
    ],
)
def test_spoilt_message_is_refused(spoil: Any) -> None:
    seal = Seal([SigningKey.generate()])
    data = seal.close(message(time.time_ns(), flows=[entry()]))
    with pytest.raises(SealError):
        seal.open(spoil(data))


def test_public_key_of_a_pod_is_of_no_use() -> None:
    """What pods hold is the public half; the seal needs the private one."""
    installation, pod = SigningKey.generate(), SigningKey.generate()
    forged = Seal([pod]).close(message(time.time_ns(), flows=[entry()]))
    with pytest.raises(SealError):
        Seal([installation]).open(forged)


@pytest.mark.parametrize("age_s", [-31, 31])
def test_message_of_another_time_is_refused(age_s: int) -> None:
    seal = Seal([SigningKey.generate()])
    now_ns = time.time_ns()
    data = seal.close(message(now_ns))
    seal.open(data, now_ns=now_ns + 29 * 10**9)
    with pytest.raises(SealError, match="clocks"):
        seal.open(data, now_ns=now_ns + age_s * 10**9)


def test_bound_of_an_entry_is_that_of_the_longest() -> None:
    longest = entry((":".join(["ffff"] * 8), 65_535), ufrag="u" * 23, taken_from="f" * 32)
    seal = Seal([SigningKey.generate()])
    one, many = (len(seal.close(message(flows=[longest] * count))) for count in (1, 1001))
    assert (many - one) / 1000 <= MAX_ENTRY_BYTES


# -- table


def test_announced_flow_is_found_until_it_is_gone() -> None:
    flows = table(message(1, flows=[entry(), entry(BERT)]))
    assert flows.take(ANNA, now=0.0) == Announced("u", "a")
    flows.apply(message(2, is_all=False, gone=[ANNA]), now=0.0)
    assert flows.take(ANNA, now=10.0) is None
    assert flows.take(BERT, now=10.0) == Announced("u", "a")


def test_all_replaces_what_was_said() -> None:
    flows = table(message(1, flows=[entry()]), message(2, flows=[entry(BERT)]))
    assert flows.take(ANNA, now=0.0) is None
    assert flows.count == 1


def test_news_are_flows_that_were_not_named_before() -> None:
    flows = table(message(1, flows=[entry()]))
    assert flows.apply(message(2, flows=[entry(), entry(BERT)]), now=0.0) == [entry(BERT)]
    assert flows.apply(message(3, flows=[entry(taken_from="z")]), now=0.0) == [
        entry(taken_from="z")
    ]


def test_old_message_changes_nothing() -> None:
    flows = table(message(5, flows=[entry()]))
    assert flows.apply(message(5, flows=[]), now=0.0) is None
    assert flows.apply(message(4, is_all=False, gone=[ANNA]), now=0.0) is None
    assert flows.count == 1


def test_change_of_an_unknown_replica_is_not_enough() -> None:
    flows = table()
    assert flows.apply(message(1, is_all=False, flows=[entry()]), now=0.0) is None
    assert not flows.knows("a")


def test_silent_replica_is_forgotten() -> None:
    flows = table(message(1, flows=[entry()]))
    flows.sweep(now=EXPIRY_S - 0.1)
    assert flows.count == 1
    flows.apply(message(2, is_all=False), now=EXPIRY_S - 0.1)
    flows.sweep(now=EXPIRY_S + 1)
    assert flows.count == 1
    flows.sweep(now=2 * EXPIRY_S)
    assert flows.count == 0
    assert not flows.knows("a")


def test_replica_that_spoke_last_is_believed() -> None:
    flows = table(message(1, flows=[entry(ufrag="old")]), message(2, sender="b", flows=[entry()]))
    assert flows.take(ANNA, now=0.0) == Announced("u", "b")


def test_same_address_is_not_taken_again_at_once() -> None:
    flows = table(message(1, flows=[entry()]))
    assert flows.take(ANNA, now=5.0)
    assert flows.take(ANNA, now=5.0 + TAKE_AGAIN_S / 2) is None
    assert flows.take(ANNA, now=5.0 + TAKE_AGAIN_S)


def test_memory_is_bounded() -> None:
    many = [entry(("192.0.2.9", port)) for port in range(20)]
    flows = table(message(1, flows=many), max_flows=8)
    assert flows.count == 8
    for number in range(2 * MAX_REPLICAS):
        flows.apply(message(1, sender=f"r{number}", flows=many), now=0.0)
    assert flows.count == 8 * MAX_REPLICAS


def test_replica_that_starts_hears_of_those_that_are_gone() -> None:
    witness = table(message(7, flows=[entry()]), message(9, sender="new", flows=[entry(BERT)]))
    others = witness.hearsay(but="new")
    assert others == [Hearsay("a", 7, [entry()])]
    started = table(message(3, sender="witness", others=others))
    assert started.take(ANNA, now=0.0) == Announced("u", "a")
    # What the third one says itself counts more.
    started.apply(message(8, is_all=False, gone=[ANNA]), now=1.0)
    assert started.take(ANNA, now=5.0) is None


# -- what is still to be said


def own_flows(*entries: FlowEntry) -> OwnFlows:
    own = OwnFlows(name="me", clock_ns=lambda: 1000)
    own.flows = {item.source: item for item in entries}
    return own


def test_peer_hears_everything_first_and_then_changes() -> None:
    own = own_flows(entry())
    outbox = Outbox(own)
    first = outbox.take()
    assert (first.is_all, first.wants_all, first.flows) == (True, True, [entry()])
    own.flows = {BERT: entry(BERT)}
    outbox.note(ANNA)
    outbox.note(BERT)
    second = outbox.take()
    assert (second.is_all, second.flows, second.gone) == (False, [entry(BERT)], [ANNA])


def test_message_that_did_not_arrive_is_followed_by_everything() -> None:
    outbox = Outbox(own_flows(entry()))
    outbox.take()
    outbox.note(ANNA)
    outbox.take()
    outbox.failed()
    assert outbox.take().is_all


def test_flow_that_came_and_went_between_two_messages_is_said_to_be_gone() -> None:
    own = own_flows()
    outbox = Outbox(own)
    outbox.take()
    outbox.note(ANNA)
    assert outbox.take().gone == [ANNA]


def test_numbers_rise_even_if_the_clock_does_not() -> None:
    own = own_flows()
    assert [own.message(flows=[]).number for _ in range(3)] == [1000, 1001, 1002]
