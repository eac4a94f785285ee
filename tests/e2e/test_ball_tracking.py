"""What the original ball tracker does, on the real listener: docs/circle.md names the rows.

One client of stock aiortc watches ten seconds of a session. First it is wrong by a known distance,
then it talks junk, then it asks `cv2.HoughCircles`; the tests look at what it saw and at the pod's
log.
"""

import asyncio
import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import pytest

from e2e import kube
from e2e.original_player import Record, Seen, play
from e2e.sessions import Session, circle, session
from e2e.signalling import Wire, address_of
from podstream_core.api import Ball
from podstream_workloads.circle.motion import Motion, fixed_law

WIDTH, HEIGHT, RADIUS, SPEED = 640, 480, 40, 5
SECONDS = 10.0
WRONG_BY = (3, -4)
_WRONG_UNTIL = 3 * 90_000
_JUNK = ["a\tb", "1\t2\tx", "\t\t", "nan\t1\t0", "1\t1\t9999999999"]
"""The last one is an estimate, of a frame that there never was."""
_LINES = re.compile(
    r"time stamp (\d+):\n\tactual location: \((\S+), (\S+)\)\n"
    r"\testimated location: \((\S+), (\S+)\)\n\tRMSE: (\S+)"
)


def _true(pts: int) -> tuple[float, float]:
    """Where the original's law has the ball."""
    law = fixed_law(Ball(radius=RADIUS, speed=SPEED))
    motion = Motion(law, radius=RADIUS, width=WIDTH, height=HEIGHT)
    motion.advance(round(pts / 3000))
    return motion.position


class _Script:
    """What the client says."""

    def __init__(self) -> None:
        self._talked = False
        self.sure: list[int] = []
        """Frames about which it said where HoughCircles sees the ball."""

    def __call__(self, seen: Seen, image: Any) -> list[str]:
        if seen.pts < _WRONG_UNTIL:
            x, y = _true(seen.pts)
            return [f"{round(x) + WRONG_BY[0]}\t{round(y) + WRONG_BY[1]}\t{seen.pts}"]
        junk = [] if self._talked else _JUNK
        self._talked = True
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found: Any = cv2.HoughCircles(gray, cv2.HOUGH_GRADIENT, 1.5, 100, param2=20, minRadius=10)
        if found is None:
            return junk
        self.sure.append(seen.pts)
        x, y = found.reshape(-1, 3)[0][:2]
        return [*junk, f"{round(float(x))}\t{round(float(y))}\t{seen.pts}"]


@dataclass(frozen=True)
class Played:
    """One connection, and what the server has to say about it."""

    session: Session
    first_line: bytes
    record: Record
    sure: list[int]
    log: list[tuple[int, float, float, float, float, float]]
    """Of each estimate: pts, actual and estimated place, RMSE."""


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    spec = {
        "circle": {
            **circle(frames=0, codec="VP8", logEstimates=True),
            "width": WIDTH,
            "height": HEIGHT,
            "ball": {"motion": "Fixed", "radius": RADIUS, "speed": SPEED},
        },
        "access": {"mode": "Public"},
        "listeners": ["signalling"],
    }
    with session(spec, prefix="rows") as made:
        made.wait_phase("Ready")
        script = _Script()
        address = address_of(made)
        wire = Wire(address)
        try:
            first_line = wire.line()
        finally:
            wire.close()
        record = asyncio.run(play(address, script, seconds=SECONDS))
        (pod,) = made.pods()
        name = pod["metadata"]["name"]
        sent = len(record.said) - 1

        def logged() -> list[tuple[str, ...]]:
            found = _LINES.findall(kube.kubectl("logs", name))
            return found if len(found) >= sent else []

        lines = kube.until(logged, what=f"{sent} estimates in the log", timeout_s=20)
        log: list[Any] = [(int(line[0]), *map(float, line[1:])) for line in lines]
        yield Played(made, first_line, record, script.sure, log)


def test_the_server_offers_first_and_a_stock_client_connects(played: Played) -> None:
    assert played.first_line.count(b"\n") == 1
    message = json.loads(played.first_line)
    assert message["type"] == "offer"
    assert list(message) == ["sdp", "type"]
    assert played.record.labels == ["RTCchannel"]


def test_ten_seconds_of_a_green_ball_follow_the_law(played: Played) -> None:
    frames = played.record.frames
    assert frames[0].pts == 0
    assert frames[-1].pts >= SECONDS * 90_000
    assert len(frames) > 30
    for seen in frames:
        assert seen.pts % 3000 == 0
        x, y = _true(seen.pts)
        assert math.hypot(seen.x - x, seen.y - y) < 1, f"at {seen.pts}"
        assert RADIUS - 1 <= seen.x <= WIDTH - RADIUS + 1
        assert RADIUS - 1 <= seen.y <= HEIGHT - RADIUS + 1
        blue, green, red = seen.color
        assert green > 200
        assert max(blue, red) < 40


def test_every_message_is_one_rmse_line(played: Played) -> None:
    pts = [line[0] for line in played.log]
    said = [entry[2] for entry in played.record.said if entry[2] < 1 << 32]
    assert pts == said, "each once, in turn"
    for at, x, y, seen_x, seen_y, rmse in played.log:
        assert (x, y) == _true(at)
        assert rmse == pytest.approx(math.sqrt(((seen_x - x) ** 2 + (seen_y - y) ** 2) / 2))
        if at < _WRONG_UNTIL:
            assert (seen_x - x, seen_y - y) == WRONG_BY
            assert rmse == pytest.approx(math.sqrt(12.5))


def test_live_estimates_have_a_small_error(played: Played) -> None:
    live = [line[-1] for line in played.log if line[0] in set(played.sure)]
    assert len(live) > 10
    assert statistics.median(live) < 3


def test_junk_on_the_channel_changes_nothing(played: Played) -> None:
    wrong = [line for line in played.log if line[0] < _WRONG_UNTIL]
    after = played.log[len(wrong)]
    assert after[0] == played.sure[0]
    assert after[-1] < 10
    kube.until(
        lambda: played.session.circle.get("framesScored") == len(played.log),
        what="all of them in status",
        timeout_s=20,
    )
    assert played.session.circle["framesUnmatched"] == 1, "the frame that there never was"
    (pod,) = played.session.pods()
    assert [item["restartCount"] for item in pod["status"]["containerStatuses"]] == [0]
    assert "Traceback" not in kube.kubectl("logs", pod["metadata"]["name"])
