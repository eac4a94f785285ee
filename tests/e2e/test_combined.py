"""One upload through the router, looked at by every workload of its pod: crds/samples/all.yaml."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from e2e import kube
from e2e.http import post_offer
from e2e.sessions import Session, session
from fakes.balls import Scene
from fakes.video import write_video
from stream.videos import open_video

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SAMPLE = Path(__file__).resolve().parents[2] / "crds/samples/all.yaml"
SCENE = Scene(width=320, height=240, radius=24)


def results(made: Session) -> dict[str, Any]:
    found: dict[str, Any] = made.status.get("results") or {}
    return found


def fetch(made: Session, name: str) -> bytes:
    url = f"{made.endpoint('WHIP').removesuffix('/whip')}/results/{name}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {made.token()}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        body: bytes = response.read()
    return body


def test_one_upload_fills_a_result_block_for_each_workload(tmp_path: Path) -> None:
    places = write_video(tmp_path / "ball.mp4", SCENE, frames=150)
    spec = yaml.safe_load(SAMPLE.read_text())["spec"]
    spec["stream"] |= {"width": SCENE.width, "height": SCENE.height}
    spec["imageOps"]["stream"]["operations"] = ["resize=160x0", "gray"]
    spec |= {"lingerSeconds": 60, "reconnectSeconds": 1, "resultsIntervalSeconds": 1}
    with session(spec, prefix="all") as made:
        made.wait_phase("Ready")
        assert [item["protocol"] for item in made.status["endpoints"]] == [
            "WHIP",
            "gRPC",
            "MJPEG",
            "WHEP",
            "HTTP",
        ]
        upload = ["--upload", str(tmp_path / "ball.mp4"), "--loop"]
        with made.playing(*upload, "--frames", "150", protocol="WHIP") as client:
            made.wait_phase("Connected")
            assert post_offer(made.endpoint("WHIP"), token=made.token()).status == 503, "busy"
            kube.until(
                lambda: results(made).get("circle", {}).get("framesFound"), what="live figures"
            )
            out, err = client.communicate(timeout=90)
        assert client.returncode == 0, err
        # The places came back to the publisher, for its own frames.
        assert json.loads(out)["estimated"] >= 20
        made.wait_phase("Completed")
        found = results(made)
        stream, circle = found["stream"], found["circle"]
        pictures, camera = found["imageOps"]["stream"], found["tracking"]["camera"]
        frames = stream["framesReceived"]
        assert stream["source"]["connections"] == 1, "it was received and decoded once"
        assert stream["recording"]["frames"] == frames
        assert circle["framesFound"] >= 20
        counted = circle["framesFound"] + circle["framesMissed"] + circle["framesDropped"]
        assert counted == circle["framesReceived"] <= frames
        at = circle["position"]
        assert min((at["x"] - x) ** 2 + (at["y"] - y) ** 2 for x, y in places) < 1
        assert pictures["frames"] > 0
        assert pictures["frames"] + pictures["dropped"] <= frames
        assert (pictures["width"], pictures["height"]) == (160, 120)
        assert pictures["failed"] == pictures["restarts"] == 0
        assert camera["frames"] > 0
        assert camera["frames"] + camera["dropped"] + camera["skipped"] <= frames

        (film,) = stream["recordings"]
        (tmp_path / "film.avi").write_bytes(fetch(made, f"stream-{film['name']}"))
        video = open_video(tmp_path / "film.avi")
        assert (video.frames, video.width, video.height) == (frames, SCENE.width, SCENE.height)
        last = np.frombuffer(fetch(made, "imageOps-frame.png"), np.uint8)
        picture = cv2.imdecode(last, cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (120, 160, 3)
        (pod,) = made.pods()
        assert "tracking" in pod["spec"]["containers"][0]["image"]
