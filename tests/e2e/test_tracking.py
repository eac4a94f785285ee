"""A site on a real cluster, through the router's ports: Tracktech's messages, places, restarts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e import kube
from e2e.sessions import Session, session
from e2e.sites import PATIENCE_S, Peer, root
from e2e.test_image_batch_claims import claim

pytestmark = [pytest.mark.e2e]

SPEC: dict[str, Any] = {
    "tracking": {"orchestrator": {"maxCameras": 3, "maxClients": 3}},
    "access": {"mode": "Public"},
    "listeners": ["tracking"],
    "resultsIntervalSeconds": 1,
    "reconnectSeconds": 1,
}
PICTURE = "data:image/png;base64,AAAA"
BOX = {"boxId": 0, "rect": [0.1, 0.2, 0.3, 0.4], "objectType": "person", "certainty": 0.9}
START: dict[str, Any] = {"type": "start", "frameId": 7.0, "boxId": 0}
EMPTY: dict[str, Any] = {"type": "boundingBoxes", "frameId": 5.0, "boxes": []}


@asynccontextmanager
async def peers(base: str, *paths: str) -> AsyncIterator[list[Peer]]:
    """Open WebSockets."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield [
            Peer(await stack.enter_async_context(http.ws_connect(base + path))) for path in paths
        ]


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.text()


async def name(camera: Peer, clients: list[Peer], *, cameras: str) -> None:
    """Name a processor, and wait until the site has heard of it."""
    await camera.say(type="identifier", id=cameras)
    await camera.say(**EMPTY)
    for client in clients:
        await client.hears(**EMPTY, cameraId=cameras)


def figures(made: Session) -> dict[str, Any]:
    results = made.status.get("results") or {}
    found: dict[str, Any] = (results.get("tracking") or {}).get("orchestrator") or {}
    return found


async def test_two_cameras_and_three_clients_say_everything() -> None:
    with session(SPEC, prefix="site") as made:
        made.wait_phase("Ready")
        base = root(made)
        paths = ("/client",) * 3 + ("/processor",) * 2
        async with peers(base, *paths) as (one, two, three, gate, yard):
            clients, cameras = [one, two, three], [gate, yard]
            for client in clients:
                await client.say(type="setUsesImages", usesImages=True)
            await name(gate, clients, cameras="gate")
            await name(yard, clients, cameras="yard")
            await one.say(**START, cameraId="nowhere")
            await one.say(**START, cameraId="gate", image=PICTURE)
            await gate.hears(**START, objectId=1, image=PICTURE)
            for client in clients:
                await client.hears(type="newObject", objectId=1, image=PICTURE)
            learned = {"type": "featureMap", "objectId": 1, "featureMap": [0.5, 1.0]}
            await gate.say(**learned)
            for camera in cameras:
                await camera.hears(**learned)
            seen = {"type": "boundingBoxes", "frameId": 8, "boxes": [{**BOX, "objectId": 1}]}
            await gate.say(**seen)
            for client in clients:
                await client.hears(**seen, cameraId="gate")
            status, text = await get(f"{base}/timelines?object_id=1")
            assert (status, json.loads(text)["data"][0]["processorId"]) == (200, "gate")
            assert await get(f"{base}/objectIds") == (200, '{"data":[1]}')
            status, text = await get(f"{base}/timelines")
            assert (status, text) == (400, 'Missing "objectId" query parameter')
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with peers(base, "/client"):
                    pass
            assert refused.value.status == 503
            async with peers(base, "/processor") as (late,):
                await late.say(type="identifier", id="hall")
                await late.hears(**learned)
            await two.say(type="stop", objectId=1)
            for peer in (*cameras, *clients):
                await peer.hears(type="stop", objectId=1)
            await asyncio.to_thread(
                kube.until, lambda: figures(made).get("clients") == 3, what="figures of the site"
            )
            found = figures(made)
            assert (found["cameras"], found["objectsEver"], found["objectsLive"]) == (2, 1, 0)
            assert found["timelines"][0]["cameras"] == ["gate"]
            assert made.phase == "Connected"
        await asyncio.to_thread(made.wait_phase, "Completed")
        assert made.status["connection"]["protocol"] == "HTTP"


async def test_a_site_with_a_token_is_reached_by_its_path() -> None:
    spec = {key: value for key, value in SPEC.items() if key not in ("access", "listeners")}
    with session(spec, prefix="site") as made:
        made.wait_phase("Ready")
        base, token = made.endpoint("HTTP"), made.token()
        assert (await get(f"{base}objectIds"))[0] == 401
        assert await get(f"{base}objectIds?token={token}") == (200, '{"data":[]}')
        paths = (f"client?token={token}", f"processor?token={token}")
        async with peers(base, *paths) as (client, gate):
            await name(gate, [client], cameras="gate")
            await client.say(**START, cameraId="gate")
            await gate.hears(**START, objectId=1)


@pytest.mark.long
async def test_ids_go_on_in_the_pod_that_replaces_a_lost_one(tmp_path: Path) -> None:
    folder = tmp_path / "timelines"
    with claim(folder) as volume:
        spec = {**SPEC, "restartPolicy": "OnPodLoss", "reconnectSeconds": 60}
        site = {**SPEC["tracking"]["orchestrator"], "timelines": {"volume": {"claimName": volume}}}
        with session({**spec, "tracking": {"orchestrator": site}}, prefix="kept") as made:
            made.wait_phase("Ready")
            base = root(made)
            for number in (1, 2):
                async with peers(base, "/client", "/processor") as (client, gate):
                    await gate.say(type="identifier", id="gate")
                    if number == 2:  # the object of the lost pod is still tracked
                        await gate.hears(type="featureMap", objectId=1, featureMap={})
                    await gate.say(**EMPTY)
                    await client.hears(**EMPTY, cameraId="gate")
                    await client.say(**START, cameraId="gate")
                    await gate.hears_at_last(**START, objectId=number)
                    if number == 1:
                        await _lose_pod(made, gate)
            assert await get(f"{base}/objectIds") == (200, '{"data":[1, 2]}')
            assert made.status["pod"]["restarts"] == 1


async def _lose_pod(made: Session, peer: Peer) -> None:
    """Delete the site's pod without a warning, and wait for the next one."""
    (pod,) = made.pods()
    await asyncio.to_thread(
        kube.kubectl, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force"
    )
    async with asyncio.timeout(2 * PATIENCE_S):  # the router takes 20 s of silence for its end
        while not peer.socket.closed:
            await peer.socket.receive()

    def is_replaced() -> bool:
        status = made.status
        return status.get("pod", {}).get("restarts") == 1 and status.get("phase") == "Ready"

    await asyncio.to_thread(kube.until, is_replaced, what="a pod in place of the lost one")
