"""A client that only watches, as a page does: it says nothing, and the session has figures."""

import io
from pathlib import Path

from podstream_core.api import Circle
from podstream_workloads.circle.game import Game


async def test_every_frame_that_is_sent_is_news(tmp_path: Path) -> None:
    told: list[int] = []
    game = Game(
        Circle(width=64, height=64),
        folder=tmp_path,
        out=io.StringIO(),
        on_sent=lambda: told.append(game.results().frames_sent),
    )
    track = game.stream(hold_first=False, on_first_sent=lambda: None).track
    for _ in range(3):
        await track.recv()
    assert told == [1, 2, 3]
    track.stop()
    game.ledger.close()
