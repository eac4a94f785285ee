"""A client's own video is looked at: the places go back on its data channel and are counted."""

import asyncio
import csv
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from aiortc import RTCConfiguration, RTCPeerConnection
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from circle.players import Direct, figures_of, playing, spec
from fakes.balls import Scene
from fakes.video import write_video
from podstream_core.agentapi import Protocol
from podstream_workloads.agent import BadOffer, UnsupportedOffer
from podstream_workloads.client.errors import ClientError
from podstream_workloads.client.options import parse
from podstream_workloads.client.publisher import Publisher
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.video import VideoSource
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.offers import check_upload

pytestmark = pytest.mark.media

SCENE = Scene(width=320, height=240, radius=24)


async def test_a_published_ball_is_found_where_it_is(tmp_path: Path) -> None:
    places = write_video(tmp_path / "ball.mp4", SCENE, frames=60)
    summary = Summary()
    with ThreadPoolExecutor(1) as pool:
        async with playing(spec(frames=30, source="Upload"), tmp_path) as (workload, context):
            source = VideoSource(str(tmp_path / "ball.mp4"), form=None, loop=True)
            publisher = Publisher(
                parse(["--url", "http://unused"], environment={}),
                signalling=Direct(workload, Protocol.WHIP),
                source=source,
                pool=pool,
                summary=summary,
            )
            sending = asyncio.create_task(publisher.play(connect_timeout_s=5))
            try:
                async with asyncio.timeout(20):
                    await context.finished.wait()
                assert context.had_first_frame
                assert context.came
            finally:
                sending.cancel()
                await publisher.close()
            await workload.drain()
            results = await figures_of(workload)
            artefacts = (await workload.results()).artefacts
    source.close()
    assert results.frames_found == 30
    assert results.frames_received >= 30
    assert results.rmse_px is None
    assert results.position is not None
    assert results.plot == "/s/default/ball/results/circle-plot.svg"
    assert "30 of 3" in results.summary
    assert "320x240" in results.summary
    # What went back to the publisher is what was counted, but for what was still under way.
    assert summary.estimated >= 20
    with (tmp_path / "frames.csv").open() as table:
        rows = list(csv.DictReader(table))
    seen = np.array([(float(row["x_px"]), float(row["y_px"])) for row in rows if row["x_px"]])
    apart = np.linalg.norm(seen[:, None] - np.array(places)[None], axis=2).min(axis=1)
    assert np.sqrt((apart**2).mean()) < 0.1
    assert [item.name for item in artefacts] == ["frames.csv", "plot.svg"]
    assert "Track of the ball" in artefacts[1].path.read_text()


async def test_the_direction_must_be_the_sessions(tmp_path: Path) -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="sendrecv")
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    await aiortc_private.close_quietly(peer)
    async with playing(spec(source="Upload"), tmp_path) as (workload, _):
        with pytest.raises(UnsupportedOffer, match="/whip"):
            await Direct(workload).exchange(offer, timeout_s=1)
    async with playing(spec(), tmp_path) as (workload, _):
        with pytest.raises(UnsupportedOffer, match="/whep"):
            await Direct(workload, Protocol.WHIP).exchange(offer, timeout_s=1)


_HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"


@pytest.mark.parametrize(
    ("sdp", "error"),
    [
        pytest.param("junk", BadOffer, id="junk"),
        pytest.param(
            _HEAD + _VIDEO + "a=recvonly\r\na=rtpmap:96 VP8/90000\r\n",
            UnsupportedOffer,
            id="wants to receive",
        ),
        pytest.param(
            _HEAD + _VIDEO + "a=sendonly\r\na=rtpmap:96 AV1/90000\r\n",
            UnsupportedOffer,
            id="unknown codec",
        ),
    ],
)
def test_offers_that_cannot_be_received_are_refused(sdp: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_upload(sdp)


def test_a_sendonly_video_is_accepted() -> None:
    check_upload(_HEAD + _VIDEO + "a=sendonly\r\na=rtpmap:96 H264/90000\r\n")


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.bin").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ClientError, match=r"notes\.bin"):
        VideoSource(str(tmp_path / "notes.bin"), form=None, loop=False)


def test_a_looped_video_goes_on_in_time(tmp_path: Path) -> None:
    write_video(tmp_path / "ball.mp4", Scene(width=64, height=64, radius=10), frames=5)
    source = VideoSource(str(tmp_path / "ball.mp4"), form=None, loop=True)
    times = []
    for _ in range(12):
        frame = source.read()
        assert frame is not None
        times.append(frame.pts)
    source.close()
    assert times == [3000 * number for number in range(12)]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`podstream-run` with a public session that looks at what is published."""
    manifest = {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": "eye"},
        "spec": {"circle": {"source": "Upload", "frames": 20}, "access": {"mode": "Public"}},
    }
    (tmp_path / "session.yaml").write_text(yaml.safe_dump(manifest))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "podstream_workloads.local",
            str(tmp_path / "session.yaml"),
            "--port",
            "0",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A P-256 certificate: FFmpeg with GnuTLS would make one of P-224, which OpenSSL refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


_FFMPEG = """
import sys, time
from fractions import Fraction
import av, numpy as np
from fakes.balls import Scene, path, render
url, cert, key = sys.argv[1:]
scene = Scene(width=320, height=240, radius=24)
with av.open(url, "w", format="whip", options={"cert_file": cert, "key_file": key}) as out:
    stream = out.add_stream("libx264", rate=30)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    stream.profile = "Baseline"
    stream.options = {"bf": "0", "tune": "zerolatency", "preset": "ultrafast", "g": "15"}
    rng, start = np.random.default_rng(1), time.monotonic()
    for number, (x, y) in enumerate(path(scene, 3000, seed=7)):
        frame = render(scene, x, y, rng=rng)
        frame.pts, frame.time_base = number, Fraction(1, 30)
        for packet in stream.encode(frame):
            out.mux(packet)
        time.sleep(max(0, start + number / 30 - time.monotonic()))
"""


def test_ffmpeg_publishes_by_whip_without_knowing_podstream(
    session: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert session.stderr is not None
    url = ""
    for line in session.stderr:
        if found := re.search(r"WHIP +(\S+)", line):
            url = found[1]
            break
    assert url.endswith("/s/default/eye/whip")
    cert, key = _certificate(tmp_path)
    ffmpeg = subprocess.Popen(
        [sys.executable, "-c", _FFMPEG, url, str(cert), str(key)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stderr=subprocess.DEVNULL,
    )
    try:
        out, err = session.communicate(timeout=60)
    finally:
        ffmpeg.kill()
        ffmpeg.wait()
    assert session.returncode == 0, err
    report: Any = json.loads(out[out.index("{") :])
    circle = report["results"]["circle"]
    assert (circle["framesFound"], circle["codec"]) == (20, "H264")
    assert report["phase"] == "Completed"
    assert "ball in 20 of" in circle["summary"]
