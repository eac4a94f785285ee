"""What a session's status says about a client is what its pictures allow, network or not."""

import csv
import io
import urllib.request

import pytest

from e2e.sessions import Session, session
from fakes.replay import Place, replay
from podstream_core.api import Codec

_RADIUS = 40
_COLOR = "#00ff00"


@pytest.mark.parametrize(
    ("codec", "size", "frames"),
    [
        pytest.param(Codec.VP8, (1280, 720), 150, id="1280x720, VP8"),
        pytest.param(Codec.H264, (1920, 1080), 900, id="1920x1080, H264", marks=pytest.mark.long),
    ],
)
def test_status_shows_the_error_that_the_codec_leaves(
    codec: Codec, size: tuple[int, int], frames: int
) -> None:
    """The same pictures, encoded and looked at on this machine, are the measure."""
    width, height = size
    circle = {
        "width": width,
        "height": height,
        "fps": 30,
        "codec": codec.value,
        "frames": frames,
        "ball": {"radius": _RADIUS, "color": _COLOR},
    }
    with session({"circle": circle, "lingerSeconds": 120}, prefix="exact") as made:
        made.wait_phase("Ready")
        played = made.play(timeout_s=240)
        assert played.returncode == 0, played.stderr
        made.wait_phase("Completed")
        figures = made.circle
        places = _places(made)
    alone = replay(places, codec=codec, size=size, radius=_RADIUS, color=_COLOR)
    print(
        f"{codec.value} {width}x{height}: {figures['framesScored']} frames at "
        f"{figures['fps']} a second, error {figures['rmseEuclideanPx']:.4f} px, without network "
        f"{alone.rmse:.4f} px, latency {figures['latencyMs']}"
    )
    assert len(places) == figures["framesScored"] == frames
    assert figures["framesUnmatched"] == figures.get("framesMissed", 0) == 0
    assert figures["codec"] == codec.value
    assert alone.missed == 0
    # Status has four decimals.
    assert figures["rmseEuclideanPx"] <= 1.3 * alone.rmse + 1e-4


def _places(made: Session) -> list[Place]:
    """Where the ball was in each frame that was answered, from the table that the session keeps."""
    url = f"{made.endpoint().rpartition('/')[0]}/results/circle-frames.csv"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {made.token()}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        text = response.read().decode("ascii")
    rows = csv.DictReader(io.StringIO(text))
    return sorted((int(row["frame"]), float(row["x_px"]), float(row["y_px"])) for row in rows)
