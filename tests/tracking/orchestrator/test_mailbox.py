"""What waits for a slow peer, and in which order it goes."""

import pytest

from podstream_workloads.tracking.orchestrator.frames import close_frame, text_frame
from podstream_workloads.tracking.orchestrator.mailbox import Mailbox, Overflow
from podstream_workloads.tracking.orchestrator.rate import Rate


def emptied(box: Mailbox) -> list[bytes]:
    taken = []
    while box:
        taken.append(box.pop())
    return taken


def test_within_the_budget_all_goes_in_order() -> None:
    box = Mailbox(box_budget_bytes=8)
    box.put_boxes(b"a1", "a")
    box.put_control(b"c1", limit=1)
    box.put_boxes(b"a2", "a")
    box.put_boxes(b"b1", "b")
    assert emptied(box) == [b"a1", b"c1", b"a2", b"b1"]
    assert box.dropped == 0


def test_above_the_budget_the_latest_of_each_camera_wins() -> None:
    box = Mailbox(box_budget_bytes=4)
    for frame in (b"a1", b"a2", b"a3", b"a4"):
        box.put_boxes(frame, "a")
    box.put_boxes(b"b1", "b")
    box.put_control(b"c1", limit=5)
    box.put_boxes(b"a5", "a")
    assert emptied(box) == [b"a1", b"a2", b"c1", b"a5", b"b1"]
    assert box.dropped == 2


def test_a_busy_camera_does_not_starve_another_one() -> None:
    box = Mailbox(box_budget_bytes=2)
    box.put_boxes(b"a1", "a")
    box.put_boxes(b"b1", "b")
    taken = []
    for number in range(4):
        taken.append(box.pop())
        box.put_boxes(b"a%d" % (number + 2), "a")
    assert b"b1" in taken


def test_after_all_has_gone_it_is_in_order_again() -> None:
    box = Mailbox(box_budget_bytes=2)
    for frame in (b"a1", b"a2", b"a3"):
        box.put_boxes(frame, "a")
    assert emptied(box) == [b"a1", b"a3"]
    box.put_boxes(b"a4", "a")
    box.put_control(b"c1", limit=1)
    assert emptied(box) == [b"a4", b"c1"]


def test_too_many_control_messages_are_an_overflow() -> None:
    box = Mailbox(box_budget_bytes=2)
    box.put_control(b"c1", limit=2)
    box.put_control(b"c2", limit=2)
    with pytest.raises(Overflow):
        box.put_control(b"c3", limit=2)
    box.clear()
    assert not box
    with pytest.raises(IndexError):
        box.pop()


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frames_have_the_header_of_their_size(size: int, head: bytes) -> None:
    assert text_frame(b"x" * size) == head + b"x" * size


def test_closing_frames() -> None:
    assert close_frame(None) == b"\x88\x00"
    assert close_frame(4401, "go") == b"\x88\x04\x11\x31go"
    assert len(close_frame(4401, "x" * 500)) == 127


def test_a_rate_lets_a_burst_through_and_then_its_pace() -> None:
    rate = Rate(per_s=10, burst=2, now=0)
    assert [rate.wait_s(0) for _ in range(4)] == [0, 0, pytest.approx(0.1), pytest.approx(0.2)]
    assert rate.wait_s(10) == 0
    lines = Rate(per_s=1, burst=1, now=0)
    assert [lines.allows(moment) for moment in (0, 0.5, 1.2)] == [True, False, True]
