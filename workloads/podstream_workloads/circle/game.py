"""One session's ball: its law, its colour and its ledger, over all connections of the player."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from podstream_core.api import Circle, CircleResults
from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.color import ball_color
from podstream_workloads.circle.draw import Canvas
from podstream_workloads.circle.ledger import Ledger
from podstream_workloads.circle.motion import Motion, fixed_law, random_law
from podstream_workloads.circle.player import Stream
from podstream_workloads.circle.source import BallTrack
from podstream_workloads.circle.truth import Truth


class Game:
    """Makes the stream of each connection and keeps score."""

    def __init__(self, circle: Circle, *, folder: Path, out: TextIO) -> None:
        rng = random.SystemRandom()  # nobody can know where the ball is without looking
        ball = circle.ball
        law = (
            fixed_law(ball)
            if ball.motion == "Fixed"
            else random_law(ball, width=circle.width, height=circle.height, rng=rng)
        )
        self._circle = circle
        self._motion = Motion(law, radius=ball.radius, width=circle.width, height=circle.height)
        self._color = ball_color(ball, rng=rng)
        self._track: BallTrack | None = None
        self.ledger = Ledger(
            folder, log_estimates=circle.log_estimates, frames=circle.frames, out=out
        )

    def stream(self, *, hold_first: bool, on_first_sent: Callable[[], None]) -> Stream:
        """The ball for a new connection; it goes on where it is."""
        circle = self._circle
        self._track = BallTrack(
            self._motion,
            canvas=Canvas(
                width=circle.width,
                height=circle.height,
                radius=circle.ball.radius,
                color=self._color,
            ),
            fps=circle.fps,
            hold_first=hold_first,
            on_frame=self._count,
            on_first_sent=on_first_sent,
        )
        return Stream(self._track, codec=circle.codec, fps=circle.fps)

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """Score an estimate."""
        self.ledger.enter(estimate, truth, now=now)

    def results(self) -> CircleResults:
        """The figures so far."""
        unsettled = 0 if self._track is None else self._track.truth.unsettled(time.monotonic())
        return self.ledger.results(unsettled=unsettled)

    def _count(self, skipped: int) -> None:
        self.ledger.score.sent += 1
        self.ledger.score.skipped += skipped
