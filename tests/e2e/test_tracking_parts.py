"""Camera processors, edges and clouds as pods of their own that reach each other by the router."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import socketio

from e2e import kube
from e2e.sessions import Session, session
from e2e.sites import PATIENCE_S, root
from e2e.test_image_batch_claims import claim
from podstream_workloads.tracking.intruder.faces.__main__ import main as podstream_faces
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import Device, device, jpeg, room

pytestmark = [pytest.mark.e2e]

LIVE: dict[str, Any] = {"resultsIntervalSeconds": 1, "reconnectSeconds": 1}
KNOWN, STRANGER = 1, 20


def figures(made: Session, member: str) -> dict[str, Any]:
    results = made.status.get("results") or {}
    found: dict[str, Any] = (results.get("tracking") or {}).get(member) or {}
    return found


async def until(made: Session, member: str, **wanted: int) -> None:
    """Wait until figures have reached these values."""

    def reached() -> bool:
        found = figures(made, member)
        return all(found.get(name, 0) >= value for name, value in wanted.items())

    await asyncio.to_thread(kube.until, reached, what=f"{wanted} of {member}")


async def test_a_camera_is_a_session_whose_pod_dials_its_site() -> None:
    with session({"tracking": {"orchestrator": {}}, **LIVE}, prefix="yard") as site:
        spec = {"id": "gate", "siteRef": {"name": site.name}}
        with session({"tracking": {"camera": spec}, **LIVE}, prefix="gate") as camera:
            camera.wait_phase("Ready")
            url = f"{site.endpoint('HTTP')}client?token={site.token()}"
            async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
                boxes = json.loads(await client.receive_str(timeout=PATIENCE_S))
                assert (boxes["type"], boxes["cameraId"]) == ("boundingBoxes", "gate")
                assert isinstance(boxes["frameId"], float)
                await until(camera, "camera", frames=1, sent=1)
            assert figures(camera, "camera")["connected"] is True
            assert camera.pods()[0]["metadata"]["uid"] != site.pods()[0]["metadata"]["uid"]


@pytest.mark.long
async def test_pictures_that_a_stock_client_pushes_become_boxes_of_the_site() -> None:
    with session({"tracking": {"orchestrator": {}}, **LIVE}, prefix="yard") as site:
        spec = {
            "id": "gate",
            "siteRef": {"name": site.name},
            "source": {"type": "SocketIO"},
            "detector": {"method": "Motion", "confidence": 0.1},
        }
        with session({"tracking": {"camera": spec}, **LIVE}, prefix="gate") as camera:
            camera.wait_phase("Ready")
            base = urlsplit(camera.endpoint("HTTP"))
            sender = socketio.AsyncClient(reconnection=False)
            answered = asyncio.Queue[str]()
            sender.on("frame_processed", lambda told: answered.put_nowait(told["frame_name"]))
            await sender.connect(
                f"{base.scheme}://{base.netloc}",
                socketio_path=f"{base.path.strip('/')}/socket.io",
                headers={"Authorization": f"Bearer {camera.token()}"},
            )
            for number in range(3):
                scene = jpeg(room(portrait(person(number))))
                await sender.emit("frame_event", {"frame_name": f"f{number}.jpg", "data": scene})
                async with asyncio.timeout(PATIENCE_S):
                    assert await answered.get() == f"f{number}.jpg"
            await until(camera, "camera", frames=3, sent=3)
            await until(site, "orchestrator", boxesIn=3)
            await sender.disconnect()
            camera.wait_phase("Completed")


@pytest.mark.long
async def test_strangers_raise_the_alarm_and_known_faces_and_empty_rooms_do_not(
    tmp_path: Path,
) -> None:
    with claim(tmp_path / "faces") as volume:
        train(tmp_path)
        gallery = {"claimName": volume, "path": "known.npz"}
        with session({"tracking": {"recognition": {"gallery": gallery}}, **LIVE}) as cloud:
            # Portraits: nobody walks in them, which is what Hog looks for.
            detector = {"method": "Haar"}
            spec = {"edge": {"cloudRef": {"name": cloud.name}, "detector": detector}}
            public = {"access": {"mode": "Public"}, "listeners": ["edge"]}
            with session({"tracking": spec, **public, **LIVE}, prefix="edge") as edge:
                cloud.wait_phase("Ready")
                edge.wait_phase("Ready")
                await play(edge, cloud)


async def play(edge: Session, cloud: Session) -> None:
    """Show an empty room, a known face, and a stranger; the alarm rings for the last alone."""
    base = root(edge, listener="edge")
    async with device(base) as camera, device(base) as alarm:
        shown = 0
        for name, scene in (
            ("empty", room()),
            ("known", room(portrait(person(KNOWN)))),
            ("empty", room()),
            ("stranger", room(portrait(person(STRANGER)))),
        ):
            shown = await _show(camera, name, scene, shown=shown)
            if name == "known":
                await until(edge, "edge", known=1)
                assert alarm.count("alarm_event") == 0
        await alarm.until("alarm_event")
        await until(edge, "edge", frames=shown, known=1, unknown=1, intruders=1)
        await until(cloud, "recognition", known=1, unknown=1)
    assert edge.status["connection"]["protocol"] == "HTTP"


async def _show(camera: Device, name: str, scene: Any, *, shown: int) -> int:
    """Send some frames of a scene and wait until they are done; how many have been sent now."""
    for _ in range(6):
        shown += 1
        await camera.send(f"{name}_frame{shown}.jpg", jpeg(scene))
        await camera.until("frame_processed", shown)
    return shown


def train(folder: Path) -> None:
    """A gallery of some people, on the claim."""
    import cv2  # noqa: PLC0415

    pictures = folder / "pictures"
    pictures.mkdir()
    for seed in range(4):
        cv2.imwrite(str(pictures / f"person{seed}.png"), portrait(person(seed)))
    output = folder / "faces" / "known.npz"
    assert podstream_faces(["train", str(pictures), "--output", str(output), "--copies", "8"]) == 0
    output.chmod(0o644)
