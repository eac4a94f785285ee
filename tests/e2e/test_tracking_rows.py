"""The rows of the table of observable checks for the orchestrator, through the router, on one site.

Every message both ways, restarts and a site's token are in test_tracking.py; who must authenticate
and for how long, and clients that do not read, in test_tracking_peers.py.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.sessions import session
from e2e.sites import Peer, root
from e2e.test_tracking import BOX, EMPTY, PICTURE, SPEC, START, get, name, peers

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Base URL of a site that stays for all tests."""
    with session({**SPEC, "reconnectSeconds": 300}, prefix="rows") as made:
        made.wait_phase("Ready")
        yield root(made)


async def ids(site: str) -> list[int]:
    """All ids ever given."""
    status, text = await get(f"{site}/objectIds")
    assert status == 200
    found: list[int] = json.loads(text)["data"]
    assert text == '{"data":' + json.dumps(found) + "}"
    return found


async def stop(client: Peer, number: int, *, heard_by: Peer) -> None:
    await client.say(type="stop", objectId=number)
    await heard_by.hears_at_last(type="stop", objectId=number)


async def test_ids_count_up_and_a_refused_start_uses_none(site: str) -> None:
    async with peers(site, "/client", "/processor") as (client, gate):
        await name(gate, [client], cameras="gate")
        before = await ids(site)
        for wrong in ({}, {"cameraId": "gate"}, {"cameraId": "nowhere", "image": PICTURE}):
            await client.say(type="start", **wrong)
        for number in range(len(before) + 1, len(before) + 5):
            await client.say(type="start", cameraId="gate", image=PICTURE)
            await gate.hears(type="start", objectId=number, image=PICTURE)
            await stop(client, number, heard_by=gate)
        assert await ids(site) == list(range(1, len(before) + 5))


async def test_a_late_client_hears_of_objects_with_a_picture_only(site: str) -> None:
    async with peers(site, "/client", "/processor", "/client") as (client, gate, late):
        await name(gate, [client, late], cameras="gate")
        number = len(await ids(site)) + 1
        await client.say(**START, cameraId="gate")
        await client.say(**START, cameraId="gate", image=PICTURE)
        await gate.hears(**START, objectId=number)
        await gate.hears(**START, objectId=number + 1, image=PICTURE)
        await late.say(type="setUsesImages", usesImages=True)
        await late.hears(type="newObject", objectId=number + 1, image=PICTURE)
        for each in (number, number + 1):
            await stop(client, each, heard_by=gate)
            await late.hears(type="stop", objectId=each)


async def test_feature_maps_go_to_every_camera_and_to_later_ones(site: str) -> None:
    async with peers(site, "/client", "/processor", "/processor") as (client, gate, yard):
        await name(gate, [client], cameras="gate")
        number = len(await ids(site)) + 1
        await client.say(**START, cameraId="gate")
        await gate.hears(**START, objectId=number)
        await yard.say(type="identifier", id="yard")
        await yard.hears(type="featureMap", objectId=number, featureMap={})
        learned = {"type": "featureMap", "objectId": number, "featureMap": [0.5, 1.0, 2]}
        await gate.say(**learned)
        for camera in (gate, yard):
            await camera.hears(**learned)
        async with peers(site, "/processor") as (hall,):
            await hall.say(type="identifier", id="hall")
            await hall.hears(**learned)
        await stop(client, number, heard_by=gate)


async def test_boxes_reach_clients_and_timelines_whatever_their_shape(site: str) -> None:
    async with peers(site, "/client", "/processor") as (client, gate):
        early = {"type": "boundingBoxes", "frameId": 1, "boxes": [BOX]}
        await gate.say(**early)
        await client.hears(**early, cameraId=None)
        await name(gate, [client], cameras="gate")
        number = len(await ids(site)) + 1
        await client.say(**START, cameraId="gate")
        await gate.hears(**START, objectId=number)
        for boxes in ("invalid", [7], [{**BOX, "objectId": number}]):
            seen: dict[str, Any] = {"type": "boundingBoxes", "frameId": 2.50, "boxes": boxes}
            await gate.say(**seen)
            await client.hears(**seen, cameraId="gate")
        for parameter in ("objectId", "object_id"):
            status, text = await get(f"{site}/timelines?{parameter}={number}")
            (sighting,) = json.loads(text)["data"]
            assert (status, sighting["processorId"]) == (200, "gate")
        missing = (400, 'Missing "objectId" query parameter')
        assert await get(f"{site}/timelines") == missing
        unknown = (400, "Object id not present in tracking history")
        assert await get(f"{site}/timelines?objectId=4711") == unknown
        await stop(client, number, heard_by=gate)


async def test_the_newest_of_one_id_is_reachable_and_a_second_id_replaces_the_first(
    site: str,
) -> None:
    async with peers(site, "/client", "/processor") as (client, old):
        await name(old, [client], cameras="gate")
        async with peers(site, "/processor") as (new,):
            await name(new, [client], cameras="gate")
            ended = await old.socket.receive(timeout=30)
            assert ended.data == 4409
            number = len(await ids(site)) + 1
            await client.say(**START, cameraId="gate")
            await new.hears(**START, objectId=number)
            await stop(client, number, heard_by=new)
            await name(new, [client], cameras="shed")
            await client.say(**START, cameraId="gate")  # nobody's any more
            await client.say(**START, cameraId="shed")
            await new.hears(**START, objectId=number + 1)
            await stop(client, number + 1, heard_by=new)


async def test_bad_messages_end_nothing_and_a_burst_stays_in_order(site: str) -> None:
    async with peers(site, "/client", "/processor") as (client, gate):
        await name(gate, [client], cameras="gate")
        for peer in (client, gate):
            for text in ("no JSON", "[1]", "7", "{}", '{"type":7}', '{"type":"nothing"}'):
                await peer.socket.send_str(text)
        for quiet in ("start", "stop"):
            await gate.say(type=quiet, objectId=1)
        await gate.say(type="featureMap", objectId=4711, featureMap=[1])
        await gate.say(type="boundingBoxes")
        for frame in range(1000):
            await gate.socket.send_str(f'{{"type":"boundingBoxes","frameId":{frame}.0,"boxes":[]}}')
        for frame in range(1000):
            await client.hears(**{**EMPTY, "frameId": float(frame)}, cameraId="gate")
