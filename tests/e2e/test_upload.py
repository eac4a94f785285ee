"""A client publishes its own video through the router, and status says where the ball is."""

import urllib.request
from pathlib import Path

from e2e import kube
from e2e.sessions import session
from fakes.balls import Scene
from fakes.video import write_video


def test_a_video_file_is_published_and_its_ball_found(tmp_path: Path) -> None:
    video = tmp_path / "ball.mp4"
    places = write_video(video, Scene(width=320, height=240, radius=24), frames=300)
    spec = {
        "circle": {"source": "Upload", "frames": 60},
        "lingerSeconds": 60,
        "reconnectSeconds": 0,
    }
    with session(spec, prefix="upload") as made:
        made.wait_phase("Ready")
        whip = made.endpoint("WHIP")
        assert whip.endswith(f"/{made.name}/whip")
        played = made.play("--upload", str(video), "--loop", protocol="WHIP")
        assert played.returncode == 0, played.stderr
        made.wait_phase("Completed")
        circle = made.circle
        assert circle["framesFound"] == 60
        assert circle["codec"] == "H264"
        assert circle["summary"].startswith("ball in 60 of ")
        found = circle["position"]
        assert min((found["x"] - x) ** 2 + (found["y"] - y) ** 2 for x, y in places) < 1
        row = kube.kubectl("get", "strs", made.name, "-o", "wide")
        assert "ball in 60" in row

        plot = whip.split("/s/")[0] + circle["plot"]
        request = urllib.request.Request(plot, headers={"Authorization": f"Bearer {made.token()}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            assert b"Track of the ball" in response.read()
