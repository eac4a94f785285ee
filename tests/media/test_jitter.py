"""The jitter buffer does not wait for ever, and shows nothing whose references are missing."""

from typing import Any

import pytest
from aiortc.rtp import RtpPacket

from podstream_workloads.media.jitter import HOLE_S, LATE_S, MarkerJitterBuffer, begins_key_frame

KEY = b"\x10\x02\x00\x9d\x01\x2a"
DELTA = b"\x11\x02\x00"


class Feed:
    """Packets of one byte each into a buffer whose clock the test moves."""

    def __init__(self) -> None:
        self.time = 0.0
        self.buffer = MarkerJitterBuffer(512, is_video=True)
        self.buffer.now = lambda: self.time
        self.asked = 0

    def add(
        self, number: int, *, data: bytes = DELTA, marker: int = 1, frame: int = -1
    ) -> list[int]:
        """The frames that the packet lets go, by number."""
        timestamp = 3000 * (number if frame < 0 else frame)
        packet = RtpPacket(
            sequence_number=number % 65_536, timestamp=timestamp, marker=marker, payload_type=97
        )
        private: Any = packet
        private._data = data
        asks, taken = self.buffer.add(packet)
        self.asked += asks
        frames = [] if taken is None else [taken.timestamp // 3000]
        while (popped := self.buffer.pop_complete()) is not None:
            frames.append(popped[1].timestamp // 3000)
        return frames


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.mark.parametrize(
    ("data", "is_key"),
    [
        pytest.param(KEY, True, id="VP8 key frame"),
        pytest.param(DELTA, False, id="VP8 frame"),
        pytest.param(b"\x00\x00\x00\x01\x67\x42", True, id="H264 parameters"),
        pytest.param(b"\x00\x00\x00\x01\x65\x88", True, id="H264 picture without references"),
        pytest.param(b"\x00\x00\x00\x01\x61\x9a", False, id="H264 picture"),
        pytest.param(b"\x00\x00\x00\x01", False, id="cut short"),
        pytest.param(b"", False, id="empty"),
    ],
)
def test_the_packet_that_begins_a_key_frame_is_known(data: bytes, is_key: bool) -> None:
    assert begins_key_frame(data) is is_key


def test_a_hole_that_is_filled_in_time_costs_no_frame(feed: Feed) -> None:
    assert feed.add(0) == [0]
    assert feed.add(2) == []
    feed.time = HOLE_S * 0.9
    assert feed.add(3) == []
    assert feed.add(1) == [1, 2, 3]
    assert feed.asked == 0


def test_an_old_hole_is_left_behind_at_the_next_key_frame(feed: Feed) -> None:
    feed.add(0)
    feed.add(2)
    feed.time = HOLE_S
    assert feed.add(3) == []
    assert feed.asked == 1
    assert feed.add(4, data=KEY) == [4]
    assert feed.add(5) == [5]
    assert feed.asked == 1


def test_a_key_frame_that_is_there_already_is_taken_when_the_hole_is_old(feed: Feed) -> None:
    feed.add(0)
    assert feed.add(2, data=KEY, marker=0, frame=2) == []
    assert feed.add(3, frame=2) == []
    feed.time = HOLE_S
    assert feed.add(4) == [2, 4]
    assert feed.asked == 0


def test_a_packet_that_no_sender_has_any_more_is_given_up_sooner(feed: Feed) -> None:
    feed.add(0)
    feed.add(2, data=KEY)
    feed.time = LATE_S
    frames = [frame for number in range(3, 140) for frame in feed.add(number)]
    assert frames == list(range(2, 140))


def test_key_frames_are_asked_for_twice_a_second_at_most(feed: Feed) -> None:
    feed.add(0)
    for number in range(2, 92):
        feed.time = number / 30
        feed.add(number)
    assert 4 <= feed.asked <= 6


def test_a_hole_across_the_wrap_of_sequence_numbers_is_left_behind_too(feed: Feed) -> None:
    feed.add(65_534)
    feed.add(65_536)
    feed.time = HOLE_S
    assert feed.add(65_537, data=KEY) == [65_537]


def test_after_a_jump_of_the_sequence_nothing_is_shown_before_a_key_frame(feed: Feed) -> None:
    feed.add(0)
    assert feed.add(40_000) == []
    assert feed.add(40_001) == []
    assert feed.asked == 1
    assert feed.add(40_002, data=KEY) == [40_002]


def test_frames_that_need_dropped_ones_are_dropped(feed: Feed) -> None:
    feed.add(0)
    feed.buffer.require_key_frame()
    assert feed.add(1) == []
    assert feed.add(2, data=KEY) == [2]


def test_the_first_frame_need_not_be_a_key_frame(feed: Feed) -> None:
    """A decoder that came late shows what it can; it asks for a key frame by itself."""
    assert feed.add(7) == [7]
