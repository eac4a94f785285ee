"""Every message both ways, in the order and with the literals of Tracktech's protocol."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podstream_workloads.tracking.orchestrator import OrchestratorSettings
from tracking.orchestrator.harness import BOX, Server, serving, start

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(params=[False, True], ids=["strict", "compat"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with serving(OrchestratorSettings(compat=request.param)) as running:
        yield running


async def test_every_message_both_ways(server: Server) -> None:
    client = await server.client(images=True)
    gate = await server.processor("gate")
    yard = await server.processor("yard")
    await client.say(type="start", cameraId="gate", frameId=5.0, boxId=0, image=PICTURE)
    assert await gate.text() == (
        '{"type":"start","objectId":1,"frameId":5.0,"boxId":0,"image":"' + PICTURE + '"}'
    )
    await client.expect(type="newObject", objectId=1, image=PICTURE)
    await gate.say(type="featureMap", objectId=1, featureMap=[0.5, 1.0])
    for processor in (gate, yard):
        await processor.expect(type="featureMap", objectId=1, featureMap=[0.5, 1.0])
    boxes = [BOX | {"objectId": 1}]
    await gate.say(type="boundingBoxes", frameId=5.5, boxes=boxes)
    await client.expect(type="boundingBoxes", cameraId="gate", frameId=5.5, boxes=boxes)
    await client.say(type="stop", objectId=1)
    for peer in (gate, yard, client):
        await peer.expect(type="stop", objectId=1)
    for peer in (gate, yard, client):
        await peer.nothing_more()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        pytest.param({"frameId": 7, "boxId": 3}, '"frameId":7,"boxId":3', id="frame and box"),
        pytest.param({"image": "x"}, '"image":"x"', id="picture only"),
        pytest.param({"image": "x", "frameId": 5.0}, '"frameId":5.0,"image":"x"', id="no box"),
    ],
)
async def test_start_reaches_the_named_processor_with_what_was_sent(
    server: Server, target: dict[str, Any], told: str
) -> None:
    client = await server.client()
    gate, yard = await server.processor("gate"), await server.processor("yard")
    await client.say(type="start", cameraId="gate", **target)
    assert await gate.text() == '{"type":"start","objectId":1,' + told + "}"
    await yard.nothing_more()
    await client.nothing_more()


@pytest.mark.parametrize("form", ["5.0", "7", "1e3", "12345678901234567890", "-0.0", '"a"'])
async def test_numbers_keep_their_form(server: Server, form: str) -> None:
    client, gate = await server.client(), await server.processor("gate")
    await client.say_text(f'{{"type":"start","cameraId":"gate","frameId":{form},"boxId":{form}}}')
    assert await gate.text() == f'{{"type":"start","objectId":1,"frameId":{form},"boxId":{form}}}'
    boxes = f'[{{"boxId":{form},"rect":[{form}]}}]'
    await gate.say_text(f'{{"boxes":{boxes},"frameId":{form},"type":"boundingBoxes"}}')
    assert await client.text() == (
        f'{{"type":"boundingBoxes","cameraId":"gate","frameId":{form},"boxes":{boxes}}}'
    )


async def test_ids_count_up_and_a_refused_start_uses_none(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    assert await server.get("/objectIds") == (200, '{"data":[]}')
    for number in (1, 2):
        assert await start(client, gate, "gate") == number
    await client.say(type="start", cameraId="nobody", frameId=1, boxId=1)
    await client.say(type="start", cameraId="gate", frameId=1)
    await client.say(type="start", cameraId="gate", boxId=1)
    await client.say(type="start", frameId=1, boxId=1)
    await client.say(type="stop", objectId=2)
    await gate.expect(type="stop", objectId=2)
    for number in (3, 4):
        assert await start(client, gate, "gate") == number
    assert await server.get("/objectIds") == (200, '{"data":[1, 2, 3, 4]}')
    await client.nothing_more()


async def test_set_uses_images_replays_objects_with_a_picture(server: Server) -> None:
    early, gate = await server.client(images=True), await server.processor("gate")
    await start(early, gate, "gate", image=PICTURE)
    await early.expect(type="newObject", objectId=1, image=PICTURE)
    await start(early, gate, "gate")
    await early.expect(type="newObject", objectId=2)
    await start(early, gate, "gate", image="later")
    await early.expect(type="newObject", objectId=3, image="later")
    late = await server.client(images=True)
    await late.expect(type="newObject", objectId=1, image=PICTURE)
    await late.expect(type="newObject", objectId=3, image="later")
    await late.say(type="setUsesImages", usesImages=1)  # sets the flag, but only true replays
    await late.nothing_more()
    await late.say(type="setUsesImages", usesImages=False)
    await late.nothing_more()
    await early.nothing_more()
    await start(early, gate, "gate", image="last")
    await late.nothing_more()


async def test_feature_maps_are_replayed_and_broadcast(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    assert await start(client, gate, "gate") == 1
    yard = await server.processor("yard")
    await yard.expect(type="featureMap", objectId=1, featureMap={})
    await gate.say(type="featureMap", objectId=1, featureMap=[1.0, 2])
    for processor in (gate, yard):
        assert await processor.text() == '{"type":"featureMap","objectId":1,"featureMap":[1.0, 2]}'
    late = await server.processor("late")
    await late.expect(type="featureMap", objectId=1, featureMap=[1.0, 2])
    await gate.say(type="featureMap", objectId=9, featureMap=[1.0])
    await client.say(type="stop", objectId=1)
    for processor in (gate, yard, late):
        await processor.expect(type="stop", objectId=1)
        await processor.nothing_more()


async def test_boxes_reach_clients_and_the_timeline(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    await start(client, gate, "gate")
    boxes = [BOX | {"objectId": 1}, {"objectId": 2}, {"rect": []}]
    await gate.say(type="boundingBoxes", frameId=1, boxes=boxes)
    await client.expect(type="boundingBoxes", cameraId="gate", frameId=1, boxes=boxes)
    status, body = await server.get("/timelines?objectId=1")
    assert status == 200
    assert [row["processorId"] for row in json.loads(body)["data"]] == ["gate"]
    assert (await server.get("/timelines?objectId=2"))[0] == 400
    await gate.say(type="boundingBoxes", frameId=2, boxes="invalid")
    await client.expect(type="boundingBoxes", cameraId="gate", frameId=2, boxes="invalid")
    await gate.nothing_more()


async def test_boxes_before_the_identifier_have_no_camera(server: Server) -> None:
    client, nameless = await server.client(), await server.processor()
    await nameless.say(type="boundingBoxes", frameId=1.0, boxes=[])
    await client.expect(type="boundingBoxes", cameraId=None, frameId=1.0, boxes=[])


async def test_a_stopped_object_is_only_forwarded(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    await start(client, gate, "gate")
    await client.say(type="stop", objectId=1)
    await gate.expect(type="stop", objectId=1)
    await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
    await client.expect(type="boundingBoxes", cameraId="gate", frameId=1, boxes=[{"objectId": 1}])
    await gate.say(type="featureMap", objectId=1, featureMap=[1])
    await gate.nothing_more()
    assert await server.get("/objectIds") == (200, '{"data":[1]}')
    assert (await server.get("/timelines?objectId=1"))[0] == 400


@pytest.mark.parametrize("said", ['"1"', "true", "1.5", "null", "[1]", "99"])
async def test_stop_matches_only_the_number(server: Server, said: str) -> None:
    client, gate = await server.client(images=True), await server.processor("gate")
    await start(client, gate, "gate")
    await client.expect(type="newObject", objectId=1)
    await client.say_text(f'{{"type":"stop","objectId":{said}}}')
    await client.nothing_more()
    await gate.nothing_more()


async def test_a_client_that_leaves_takes_no_object_along(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    await start(client, gate, "gate")
    await client.socket.close()
    other = await server.client()
    await other.say(type="stop", objectId=1)
    await gate.expect(type="stop", objectId=1)


async def test_a_processor_that_has_left_is_unknown_and_objects_stay(server: Server) -> None:
    client, gate = await server.client(), await server.processor("gate")
    await start(client, gate, "gate")
    await gate.socket.close()
    yard = await server.processor("yard")
    await yard.expect(type="featureMap", objectId=1, featureMap={})
    await client.say(type="start", cameraId="gate", frameId=1, boxId=1)
    await client.nothing_more()
    assert await server.get("/objectIds") == (200, '{"data":[1]}')
