"""Where a stream's frames come from, and who gets them, on a real cluster through the router."""

import asyncio
import base64
import hashlib
import os
import urllib.request
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from e2e import kube
from e2e.cameras import PORT, camera_pods, gstreamer_camera, permitted
from e2e.http import request
from e2e.sessions import Session, names, session
from e2e.streams import figures, url
from e2e.test_image_batch_claims import claim
from stream.videos import open_video

LEVELS = (40, 90, 140, 190)
"""Greys that no codec mistakes for each other."""
HELD = 8
"""Frames of one grey in a row."""
NEAR = 6
IS_KIND = os.environ.get("CLUSTER") == "kind"
_TRY = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()\n"
    "except OSError: print('closed')\n"
    "else: print('open')\n"
)


def write_greys(place: Path, *, frames: int, fps: int = 20, size: tuple[int, int]) -> None:
    """An MP4 whose pictures are the greys in turn."""
    with av.open(str(place), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            grey = np.full((size[1], size[0], 3), level(number), np.uint8)
            frame = VideoFrame.from_ndarray(grey, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def level(number: int) -> int:
    return LEVELS[number // HELD % len(LEVELS)]


def are_greys(levels: "list[int] | tuple[int, ...]") -> bool:
    """Whether all pictures are of the video, and more than one of its greys is among them."""
    nearest = [min(LEVELS, key=lambda known: abs(known - found)) for found in levels]
    apart = [abs(known - found) for known, found in zip(nearest, levels, strict=True)]
    return max(apart) <= NEAR and len(set(nearest)) > 1


def secret_of(made: Session, key: str) -> str:
    secret = kube.get("secret", made.status["access"]["secretName"])
    assert secret is not None
    return base64.b64decode(secret["data"][key]).decode()


async def look_by_whep(made: Session, token: str) -> tuple[tuple[int, int], list[int]]:
    """A stock viewer: size of the pictures, and their greys until two of them were seen."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = peer.addTransceiver("video", direction="recvonly").receiver
    bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    try:
        await peer.setLocalDescription(await peer.createOffer())
        offer = peer.localDescription.sdp.encode()
        answer = await asyncio.to_thread(
            request, url(made, "whep"), method="POST", body=offer, headers=bearer
        )
        assert answer.status == 201, answer.text
        await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        levels: list[int] = []
        async with asyncio.timeout(60):
            while True:
                frame = await receiver.track.recv()
                assert isinstance(frame, VideoFrame)
                levels.append(round(float(frame.to_ndarray(format="rgb24").mean())))
                if len(levels) > 3 and max(levels) - min(levels) > 2 * NEAR:
                    return (frame.width, frame.height), levels
    finally:
        await peer.close()


def get_part(made: Session, file: str, *, part: str = "") -> tuple[int, dict[str, str], bytes]:
    """A file, or a part of it, as a player asks for it."""
    headers = {"Authorization": f"Bearer {made.token()}", **({"Range": part} if part else {})}
    asked = urllib.request.Request(url(made, f"results/stream-{file}"), headers=headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.status, dict(answer.headers), answer.read()


def test_what_is_published_by_whip_is_seen_by_whep_with_the_view_token(tmp_path: Path) -> None:
    write_greys(tmp_path / "greys.mp4", frames=160, size=(160, 120))
    spec = {
        "stream": {"source": {"type": "WHIP"}, "width": 160, "height": 120, "maxViewers": 1},
        "reconnectSeconds": 1,
        "lingerSeconds": 0,
        "resultsIntervalSeconds": 1,
    }
    with session(spec, prefix="whip") as made:
        made.wait_phase("Ready")
        upload = ("--upload", str(tmp_path / "greys.mp4"), "--loop")
        with made.playing(*upload, protocol="WHIP"):
            made.wait_phase("Connected")
            view = secret_of(made, "viewToken")
            size, levels = asyncio.run(look_by_whep(made, view))
            assert size == (160, 120)
            assert are_greys(levels), levels
            refused = request(
                url(made, "whip"),
                method="POST",
                body=b"v=0\r\n",
                headers={"Authorization": f"Bearer {view}", "Content-Type": "application/sdp"},
            )
            assert refused.status == 403, "who may look on may not publish"
            kube.until(
                lambda: figures(made).get("framesReceived", 0) > 20, what="frames in the status"
            )
            source = figures(made)["source"]
        assert (source["connected"], source["connections"]) == (True, 1)
        assert (source["codec"].upper(), source["width"], source["height"]) == ("H264", 160, 120)
        made.wait_phase("Completed")


@pytest.mark.skipif(
    "PODSTREAM_NODE_IP" not in os.environ,
    reason="only nodes of the embedded cluster see folders of this machine",
)
def test_a_file_is_played_to_its_end_and_recorded_and_read_in_parts(tmp_path: Path) -> None:
    frames = 48
    with claim(tmp_path / "films") as films:
        write_greys(tmp_path / "films" / "a.mp4", frames=frames, size=(160, 120))
        stream = {
            "source": {"type": "File", "file": {"claimName": films, "path": "a.mp4"}},
            "width": 80,
            "height": 60,
            "recording": {"enabled": True, "codec": "H264"},
        }
        with session({"stream": stream, "lingerSeconds": 60}, prefix="file") as made:
            made.wait_phase("Completed")
            found = figures(made)
            assert found["framesReceived"] == frames
            (film,) = found["recordings"]
            assert film["frames"] == frames
            status, _, whole = get_part(made, film["name"])
            assert (status, len(whole)) == (200, film["bytes"])
            assert hashlib.sha256(whole).hexdigest() == film["sha256"]
            status, headers, part = get_part(made, film["name"], part="bytes=100-299")
            assert (status, part) == (206, whole[100:300])
            assert headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    (tmp_path / "film.mp4").write_bytes(whole)
    video = open_video(tmp_path / "film.mp4")
    assert (video.width, video.height, video.frames) == (80, 60, frames)
    assert are_greys(video.levels), video.levels


@pytest.mark.long  # the same is shown on loopback by stream/test_post_process.py
def test_viewers_see_what_operations_have_made_and_recordings_what_came(tmp_path: Path) -> None:
    stream = {
        "source": {"type": "Synthetic", "fps": 20},
        "width": 128,
        "height": 96,
        "maxViewers": 1,
        "postProcess": {"operations": ["turn=1", "resize=48x64"]},
        "recording": {"enabled": True, "codec": "MJPG"},
    }
    spec = {"stream": stream, "lingerSeconds": 60, "resultsIntervalSeconds": 1}
    with session(spec, prefix="post") as made:
        made.wait_phase("Ready", "Connected")
        bearer = {"Authorization": f"Bearer {made.token()}"}
        asked = urllib.request.Request(url(made, "mjpeg"), headers=bearer)
        with urllib.request.urlopen(asked, timeout=60) as pictures:
            data = b""
            while b"\xff\xd9" not in data:
                data += pictures.read(512)
        jpeg = data[data.index(b"\xff\xd8") : data.index(b"\xff\xd9") + 2]
        decoder = av.CodecContext.create("mjpeg", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        (picture,) = decoder.decode(av.Packet(jpeg))
        assert (picture.width, picture.height) == (48, 64)
        kube.until(lambda: figures(made).get("framesProcessed", 0) > 5, what="processed frames")
        kube.kubectl("patch", "strs", made.name, "--type=merge",
                     '--patch={"spec":{"stream":{"recording":{"enabled":false}}}}')  # fmt: skip
        kube.until(lambda: figures(made).get("recordings"), what="the film")
        found = figures(made)
        assert 0 < found["framesProcessed"] <= found["framesReceived"]
        film = found["recordings"][0]
        (tmp_path / "film.avi").write_bytes(get_part(made, film["name"])[2])
    video = open_video(tmp_path / "film.avi")
    assert (video.width, video.height, video.frames) == (128, 96, film["frames"])


def rtsp(address: str, port: int = PORT, **more: Any) -> dict[str, Any]:
    source = {
        "type": "RTSP",
        "rtsp": {"url": f"rtsp://{address}:{port}/live", "timeoutSeconds": 2},
        **more,
    }
    return {"stream": {"source": source, "width": 96, "height": 64}, "resultsIntervalSeconds": 1}


def message_of(made: Session) -> str:
    return str((figures(made).get("source") or {}).get("message") or "")


@pytest.mark.skipif(IS_KIND, reason="KIND's test kit enforces no NetworkPolicy")
def test_cameras_are_pulled_only_from_where_the_installation_says() -> None:
    allowed = {
        "to": [{"podSelector": {"matchLabels": {"camera": "allowed"}}}],
        "ports": [PORT],
    }
    with camera_pods("allowed", "other") as cameras, permitted(allowed):
        with (
            session(rtsp(cameras["allowed"]), prefix="rtsp") as good,
            session(rtsp(cameras["other"]), prefix="rtsp") as bad,
            session({"stream": {"source": {"type": "Synthetic"}}}, prefix="rtsp") as drawn,
        ):
            kube.until(lambda: figures(good).get("framesReceived", 0) > 10, what="the camera")
            source = figures(good)["source"]
            assert source["connected"] is True
            assert (source["codec"], source["width"], source["height"]) == ("h264", 96, 64)
            kube.until(lambda: "within 2 s" in message_of(bad), what="the other camera's silence")
            assert figures(bad)["source"]["connections"] == 0
            assert not figures(bad).get("framesReceived")
            drawn.wait_phase("Ready", "Connected")
            dials = {
                (made, role): kube.kubectl(
                    "exec", *names(made.pods()), "--", "python", "-c", _TRY, address, str(PORT)
                ).strip()
                for made in (good, bad, drawn)
                for role, address in cameras.items()
            }
        assert dials == {
            (good, "allowed"): "open",
            (good, "other"): "closed",
            (bad, "allowed"): "open",
            (bad, "other"): "closed",
            (drawn, "allowed"): "closed",
            (drawn, "other"): "closed",
        }


@pytest.mark.long  # an independent server, which not every machine has
def test_gstreamers_own_rtsp_server_is_pulled() -> None:
    with gstreamer_camera() as (host, port):
        allowed = {"to": [{"ipBlock": {"cidr": f"{host}/32"}}], "ports": [port]}
        with permitted(allowed), session(rtsp(host, port, frames=50), prefix="gst") as made:
            made.wait_phase("Completed")
            found = figures(made)
            assert found["framesReceived"] == 50
            source = found["source"]
            assert (source["codec"], source["width"], source["height"]) == ("h264", 320, 240)
