"""One session's ball: its law, its colour and its ledger, over all connections of the player."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import msgspec

from podstream_core.api import Circle, CircleResults
from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.color import ball_color
from podstream_workloads.circle.draw import Canvas
from podstream_workloads.circle.ledger import PLOT_NAME, TABLE_NAME, Ledger
from podstream_workloads.circle.motion import Motion, fixed_law, random_law
from podstream_workloads.circle.player import Stream
from podstream_workloads.circle.score import Scored
from podstream_workloads.circle.source import BallTrack
from podstream_workloads.circle.summary import play_summary
from podstream_workloads.circle.truth import Truth


class Game:
    """Makes the stream of each connection and keeps score."""

    def __init__(
        self,
        circle: Circle,
        *,
        folder: Path,
        out: TextIO,
        on_sent: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_sent` is called with every frame: a client that only looks on says nothing itself."""
        rng = random.SystemRandom()  # nobody can know where the ball is without looking
        self._circle = circle
        self._on_sent = on_sent
        self._motion = self._start(rng)
        self._color = ball_color(circle.ball, rng=rng)
        self._track: BallTrack | None = None
        self.ledger = Ledger(
            folder, log_estimates=circle.log_estimates, frames=circle.frames, out=out
        )

    def stream(self, *, hold_first: bool, on_first_sent: Callable[[], None]) -> Stream:
        """The ball for a new connection: a random one goes on, a fixed one starts anew."""
        circle = self._circle
        if circle.ball.motion == "Fixed":
            self._motion = self._start(random.SystemRandom())
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
            is_coded=circle.frame_code,
            on_frame=self._count,
            on_first_sent=on_first_sent,
        )
        told = float(circle.ball.radius) if circle.tell_truth else None
        return Stream(self._track, codec=circle.codec, fps=circle.fps, told_radius=told)

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> Scored | None:
        """Score an estimate; `None` where there is nothing to score."""
        return self.ledger.enter(estimate, truth, now=now)

    def results(self) -> CircleResults:
        """The figures so far."""
        unsettled = 0 if self._track is None else self._track.truth.unsettled(time.monotonic())
        results = self.ledger.results(unsettled=unsettled)
        return msgspec.structs.replace(results, summary=play_summary(results))

    def artefacts(self) -> tuple[tuple[str, Path], ...]:
        """Table and drawing; the table is closed by this."""
        plot = self.ledger.plot(width=self._circle.width, height=self._circle.height)
        return ((TABLE_NAME, self.ledger.close()), (PLOT_NAME, plot))

    def connection_over(self) -> None:
        """Frames that were still under way are not the client's losses."""
        if self._track is not None:
            self.ledger.score.sent -= self._track.truth.unsettled(time.monotonic())
            self._track = None

    def _start(self, rng: random.Random) -> Motion:
        circle, ball = self._circle, self._circle.ball
        law = (
            fixed_law(ball)
            if ball.motion == "Fixed"
            else random_law(ball, width=circle.width, height=circle.height, rng=rng)
        )
        return Motion(law, radius=ball.radius, width=circle.width, height=circle.height)

    def _count(self, skipped: int) -> None:
        if self.ledger.is_done:
            return
        self.ledger.score.sent += 1
        self.ledger.score.skipped += skipped
        self._on_sent()
