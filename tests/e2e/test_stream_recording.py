"""Recording, viewing and switching a stream on a real cluster, through the router."""

import base64
import hashlib
import os
import signal
import socket
import threading
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from e2e import kube
from e2e.http import request
from e2e.processes import processes_of_pod
from e2e.sessions import session
from e2e.streams import (
    FRAME,
    SIZE,
    SPEC,
    address,
    download,
    figures,
    push,
    pushed_frames,
    pushing,
    recorded,
    switch,
    url,
)
from e2e.test_image_batch_claims import claim
from stream.videos import open_video

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_recording_is_switched_and_downloaded_while_viewers_see_every_bit(tmp_path: Path) -> None:
    with session(recorded(enabled=False), prefix="film") as made:
        made.wait_phase("Ready")
        seen: list[bytes] = []

        def look() -> None:
            with urllib.request.urlopen(url(made, "frames"), timeout=60) as view:
                seen.extend(view.read(FRAME) for _ in range(20))

        viewer = threading.Thread(target=look)
        viewer.start()
        with pushing(made, fps=15):
            made.wait_phase("Connected")
            begun = switch(made, recording={"enabled": True})
            assert figures(made)["recording"]["active"] is True
            with urllib.request.urlopen(url(made, "mjpeg"), timeout=60) as browser:
                assert b"image/jpeg" in browser.read(200_000)
            viewer.join(60)
            ended = switch(made, recording={"enabled": False})
            first = figures(made)["recordings"]
            switch(made, recording={"enabled": True})
            before = figures(made)["framesReceived"]
            kube.until(lambda: figures(made)["framesReceived"] > before + 20, what="more frames")
            switch(made, recording={"enabled": False})
        print(f"recording on after {begun:.2f} s, off with its file whole after {ended:.2f} s")
        files = figures(made)["recordings"]
        assert files[:1] == first
        assert len(files) == 2
        uid = made.body["metadata"]["uid"]
        for file in files:
            assert file["name"].startswith(f"{uid}_video_")
            data = download(made, file["name"])
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
            (tmp_path / file["name"]).write_bytes(data)
            video = open_video(tmp_path / file["name"])
            assert (video.tag, video.width, video.height) == ("XVID", *SIZE)
            assert video.frames == video.counted == file["frames"] > 0
        pushed = pushed_frames(900)
        numbers = [pushed[frame] for frame in seen]
        assert len(numbers) == 20
        assert numbers == sorted(set(numbers))
        made.wait_phase("Completed")


def test_stream_is_stopped_and_started_while_nobody_is_connected() -> None:
    with session(SPEC, prefix="stop") as made:
        made.wait_phase("Ready")
        seconds = switch(made, state="Stopped")
        print(f"stopped after {seconds:.2f} s")
        assert figures(made)["state"] == "Stopped"
        switch(made, state="Running")
        assert figures(made)["state"] == "Running"
        done = push(address(made), "--pattern", "--frames", "10", "--fps", "0")
        assert done.returncode == 0, done.stderr
        made.wait_phase("Completed")
        assert figures(made)["framesReceived"] == 10


def have_seen(seen: list[list[bytes]], count: int) -> bool:
    return all(len(frames) >= count for frames in seen)


def test_frames_in_odd_pieces_and_a_cut_one_are_whole_for_two_viewers() -> None:
    frames = list(pushed_frames(6))
    spec = {**SPEC, "stream": {"maxViewers": 2}}
    with session(spec, prefix="cut") as made:
        made.wait_phase("Ready")
        seen: list[list[bytes]] = [[], []]
        both = threading.Barrier(3)

        def look(found: list[bytes]) -> None:
            with urllib.request.urlopen(url(made, "frames"), timeout=60) as view:
                both.wait(60)
                found.extend(view.read(FRAME) for _ in frames)

        viewers = [threading.Thread(target=look, args=(found,)) for found in seen]
        for viewer in viewers:
            viewer.start()
        both.wait(60)
        cut = frames[0][: FRAME // 2 + 1]
        with socket.create_connection(address(made), timeout=30) as client:
            data = b"".join([*frames, cut])
            for begin in range(0, len(data), 100_003):  # no piece ends where a frame does
                client.sendall(data[begin : begin + 100_003])
                # A viewer that is behind loses frames: each is seen before the next one is whole.
                whole = min((begin + 100_003) // FRAME, len(frames))
                kube.until(partial(have_seen, seen, whole), what=f"{whole} frames with both")
            for viewer in viewers:
                viewer.join(60)
        assert seen == [frames, frames]
        made.wait_phase("Completed")
        found = figures(made)
        assert (found["framesReceived"], found["incompleteFrames"]) == (6, 1)


def test_full_budget_ends_the_recording_and_not_the_stream() -> None:
    with session(recorded(codec="MJPG", maxBytes=1 << 20), prefix="full") as made:
        made.wait_phase("Ready")
        done = push(address(made), "--pattern", "--frames", "300", "--fps", "100")
        assert done.returncode == 0, done.stderr
        made.wait_phase("Completed")
        found = figures(made)
        assert found["framesReceived"] == 300
        assert found["recording"]["stopReason"] == "DiskBudget"
        assert "maxBytes" in found["recording"]["message"]
        assert 0 < found["recording"]["frames"] < 300


@pytest.mark.skipif(
    "PODSTREAM_NODE_IP" not in os.environ,
    reason="only nodes of the embedded cluster see folders of this machine",
)
def test_killed_pod_leaves_its_finished_segments_on_the_claim(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    with claim(folder) as films:
        spec = recorded(
            codec="H264", segmentSeconds=1, volume={"claimName": films, "path": "camera"}
        )
        with session(spec, prefix="killed") as made:
            made.wait_phase("Ready")
            with pushing(made, fps=20):
                kube.until(
                    lambda: len(figures(made).get("recordings", [])) >= 2,
                    what="two segments",
                    timeout_s=90,
                )
                (pod,) = made.pods()
                os.kill(processes_of_pod(pod["metadata"]["uid"])[0], signal.SIGKILL)
                made.wait_phase("Failed")
            known = figures(made)["recordings"]
        whole = sorted((folder / "camera").glob("*.mp4"))
        assert {file["name"] for file in known} <= {path.name for path in whole}
        for file in known:
            data = (folder / "camera" / file["name"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
        for path in whole:
            video = open_video(path)
            assert video.frames == video.counted > 0
            assert (video.width, video.height) == SIZE


def test_view_token_opens_the_pictures_of_a_session_without_a_client() -> None:
    spec = {"stream": {"source": {"type": "Synthetic", "frames": 300}, "recording": {}}}
    with session(spec, prefix="drawn") as made:
        made.wait_phase("Ready")
        name = made.status["access"]["secretName"]
        secret = kube.get("secret", name)
        assert secret is not None
        token = base64.b64decode(secret["data"]["viewToken"]).decode()
        address = url(made, "mjpeg")
        assert request(address, headers={}).status == 401
        with urllib.request.urlopen(f"{address}?token={token}", timeout=60) as view:
            assert b"image/jpeg" in view.read(100_000)
        bearer = {"Authorization": f"Bearer {token}"}
        assert request(url(made, "results"), headers=bearer).status == 403
        made.wait_phase("Completed")
        found = figures(made)
        assert (found["framesReceived"], found["recording"]["frames"]) == (300, 300)
