"""What peers may send without disturbing anybody: malformed, unknown, too big, too much."""

import json
import logging

import aiohttp
import pytest

from podstream_workloads.tracking.orchestrator import Limits, OrchestratorSettings
from tracking.orchestrator.harness import BOX, serving, start

MALFORMED = [
    pytest.param("This is no JSON", id="no JSON"),
    pytest.param("", id="empty"),
    pytest.param("[1, 2]", id="a list"),
    pytest.param('"start"', id="a string"),
    pytest.param("null", id="null"),
    pytest.param("{}", id="no type"),
    pytest.param('{"type":5}', id="type is a number"),
    pytest.param('{"type":null}', id="type is null"),
    pytest.param('{"type":"unknown"}', id="unknown type"),
    pytest.param('{"type":"start"}', id="start of nothing"),
    pytest.param('{"type":"start","cameraId":"gate"}', id="start without a target"),
    pytest.param('{"type":"start","cameraId":"gate","frameId":1}', id="start without box"),
    pytest.param('{"type":"start","cameraId":"no","frameId":1,"boxId":1}', id="unknown camera"),
    pytest.param('{"type":"start","cameraId":["gate"],"image":"x"}', id="camera is a list"),
    pytest.param('{"type":"start","cameraId":{},"image":"x"}', id="camera is an object"),
    pytest.param('{"type":"stop"}', id="stop of nothing"),
    pytest.param('{"type":"stop","objectId":"999"}', id="stop of text"),
    pytest.param('{"type":"stop","objectId":999}', id="stop of an unknown object"),
    pytest.param('{"type":"stop","objectId":1e400}', id="stop of infinity"),
    pytest.param('{"type":"setUsesImages"}', id="setUsesImages without value"),
    pytest.param('{"type":"authenticate","jwt":"x"}', id="authenticate without auth"),
    pytest.param('{"type":"subscribe","cameras":5}', id="subscribe to a number"),
    pytest.param('{"type":"subscribe","cameras":[[]]}', id="subscribe to lists"),
    pytest.param('{"type":"identifier"}', id="identifier without id"),
    pytest.param('{"type":"identifier","id":{"a":1}}', id="identifier is an object"),
    pytest.param(f'{{"type":"identifier","id":"{"x" * 1000}"}}', id="identifier is long"),
    pytest.param(f'{{"type":"subscribe","cameras":{[*range(1001)]}}}', id="subscribe to many"),
    pytest.param('{"type":"boundingBoxes","frameId":1}', id="boxes without boxes"),
    pytest.param('{"type":"boundingBoxes","boxes":[]}', id="boxes without frame"),
    pytest.param('{"type":"featureMap","objectId":1}', id="feature map without map"),
    pytest.param('{"type":"featureMap","featureMap":[]}', id="feature map without object"),
    pytest.param('{"type":"featureMap","objectId":7,"featureMap":[]}', id="map of nothing"),
    pytest.param('{"type":"featureMap","objectId":[],"featureMap":[]}', id="map of a list"),
    pytest.param("[" * 100_000, id="deep and unclosed"),
    pytest.param('{"a":' * 50_000 + "1" + "}" * 50_000, id="deep"),
    pytest.param('{"type":"start","cameraId":"gate","frameId":01,"boxId":1}', id="bad number"),
    pytest.param('{"type":"stop","objectId":1} x', id="trailing text"),
]


@pytest.mark.parametrize("path", ["/client", "/processor"])
@pytest.mark.parametrize("text", MALFORMED)
async def test_a_bad_message_is_only_logged(
    text: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="podstream_workloads.tracking"):
        async with serving() as server:
            watcher, gate = await server.client(images=True), await server.processor("gate")
            peer = await server.connect(path)
            await peer.say_text(text)
            await peer.nothing_more()
            await watcher.nothing_more()
            await gate.nothing_more()
            assert await server.get("/objectIds") == (200, '{"data":[]}')
    assert any("ignored" in record.message for record in caplog.records)
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("boxes", "code"),
    [
        ('"invalid"', "BadBoxes"),
        ("5", "BadBoxes"),
        ("null", "BadBoxes"),
        ("[1]", "BadBoxes"),
        ('{"objectId":1}', "BadBoxes"),
        ('[{"objectId":"x"},{"objectId":null},{"objectId":[]}]', None),
    ],
)
async def test_boxes_of_a_wrong_shape_are_forwarded_all_the_same(
    boxes: str, code: str | None
) -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await gate.nothing_more()
        await gate.say_text(f'{{"type":"boundingBoxes","frameId":1,"boxes":{boxes}}}')
        assert await client.text() == (
            f'{{"type":"boundingBoxes","cameraId":"gate","frameId":1,"boxes":{boxes}}}'
        )
        if code is not None:
            assert (await gate.next())["code"] == code
        await gate.nothing_more()


async def test_start_and_stop_of_a_processor_are_ignored() -> None:
    async with serving() as server:
        client, gate = await server.client(images=True), await server.processor("gate")
        await start(client, gate, "gate")
        await client.expect(type="newObject", objectId=1)
        await gate.say(type="start", cameraId="gate", frameId=1, boxId=1)
        await gate.say(type="stop", objectId=1)
        await gate.nothing_more()
        await client.nothing_more()
        assert server.orchestrator.results().objects_live == 1


async def test_a_binary_message_counts_like_text() -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await gate.socket.send_bytes(b'{"type":"boundingBoxes","frameId":1,"boxes":[]}')
        await client.expect(type="boundingBoxes", cameraId="gate", frameId=1, boxes=[])
        await gate.socket.send_bytes(b"\xff\xfe{")
        await gate.nothing_more()


@pytest.mark.parametrize("path", ["/client", "/processor"])
async def test_a_message_over_ten_mebibytes_closes_with_1009(path: str) -> None:
    async with serving() as server:
        peer = await server.connect(path)
        await peer.say_text(" " * (10 * 2**20 - 2) + "{}")  # exactly 10 MiB: refused as a message
        await peer.nothing_more()
        await peer.say_text("x" * (10 * 2**20 + 1))
        message = await peer.socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        assert message.extra == "message too big"
        await (await server.client()).nothing_more()


async def test_a_burst_of_a_thousand_boxes_arrives_whole_and_in_order() -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        boxes = [BOX] * 10
        for frame in range(1000):
            await gate.say(type="boundingBoxes", frameId=frame, boxes=boxes)
        assert [(await client.next())["frameId"] for _ in range(1000)] == list(range(1000))
        assert server.orchestrator.results().dropped == 0


async def test_a_flood_of_one_camera_is_slowed_down_and_complete() -> None:
    limits = Limits(messages_per_s=50, burst_messages=1)
    async with serving(OrchestratorSettings(limits=limits)) as server:
        client, flood = await server.client(), await server.processor("flood")
        calm = await server.processor("calm")
        for frame in range(40):
            await flood.say(type="boundingBoxes", frameId=frame, boxes=[])
        await calm.say(type="boundingBoxes", frameId=0, boxes=[])
        seen = [await client.next() for _ in range(41)]
        frames = [item["frameId"] for item in seen if item["cameraId"] == "flood"]
        assert frames == list(range(40))
        assert seen[-1]["cameraId"] == "flood"  # the calm camera did not wait for the flood


async def test_subscribe_filters_boxes_and_null_undoes_it() -> None:
    async with serving() as server:
        client = await server.client()
        cameras = [await server.processor(name) for name in ("gate", "yard", 1, "1")]

        async def all_send(frame: int) -> None:
            for camera in cameras:
                await camera.say(type="boundingBoxes", frameId=frame, boxes=[])
                await camera.nothing_more()

        await client.say(type="subscribe", cameras=["yard", "1"])
        await client.nothing_more()
        await all_send(1)
        assert [(await client.next())["cameraId"] for _ in range(2)] == ["yard", "1"]
        await client.say(type="subscribe", cameras=None)
        await client.nothing_more()
        await all_send(2)
        assert [(await client.next())["cameraId"] for _ in range(4)] == ["gate", "yard", 1, "1"]


async def test_errors_and_track_ended_go_only_to_peers_that_said_hello() -> None:
    async with serving() as server:
        plain, polite = await server.client(), await server.client()
        gate = await server.processor("gate")
        await polite.say(type="hello")
        await polite.expect(type="hello", protocol=1)
        await start(plain, gate, "gate")
        for peer in (plain, polite):
            await peer.say(type="stop", objectId=99)
        await polite.expect(type="error", code="UnknownObject", message="unknown object")
        await polite.say(type="stop", objectId=1)
        await polite.expect(type="trackEnded", objectId=1, reason="Stopped")
        await gate.expect(type="stop", objectId=1)
        for peer in (plain, gate, polite):
            await peer.nothing_more()


async def test_feature_maps_of_two_schemes_are_not_mixed() -> None:
    def described(version: int) -> dict[str, object]:
        return {"alg": "hsv", "version": version, "dim": 2, "data": "AAA="}

    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await gate.nothing_more()
        for _ in range(2):
            await start(client, gate, "gate")
        for number, feature_map in [(1, described(1)), (1, described(2)), (2, [0.5])]:
            await gate.say(type="featureMap", objectId=number, featureMap=feature_map)
            await gate.expect(type="featureMap", objectId=number, featureMap=feature_map)
        await gate.say(type="featureMap", objectId=2, featureMap=described(1))
        assert (await gate.next())["code"] == "DescriptorMixture"
        await gate.say(type="featureMap", objectId=2, featureMap=described(2))
        await gate.expect(type="featureMap", objectId=2, featureMap=described(2))


async def test_too_many_objects_are_refused() -> None:
    settings = OrchestratorSettings(limits=Limits(live_objects=1))
    async with serving(settings) as server:
        client, gate = await server.client(), await server.processor("gate")
        await client.nothing_more()
        await start(client, gate, "gate")
        await client.say(type="start", cameraId="gate", image="x")
        assert (await client.next())["code"] == "TooManyObjects"


async def test_pictures_and_feature_maps_that_take_too_much_memory_are_refused() -> None:
    settings = OrchestratorSettings(limits=Limits(kept_bytes=1000))
    async with serving(settings) as server:
        client, gate = await server.client(), await server.processor("gate")
        for peer in (client, gate):
            await peer.nothing_more()
        await start(client, gate, "gate", image="x" * 600)
        await client.say(type="start", cameraId="gate", image="x" * 600)
        assert (await client.next())["code"] == "NoRoom"
        await gate.say(type="featureMap", objectId=1, featureMap=[1] * 300)
        assert (await gate.next())["code"] == "NoRoom"
        for _ in range(3):  # a newer map takes the older one's place
            await gate.say(type="featureMap", objectId=1, featureMap=[1] * 100)
            assert (await gate.next())["type"] == "featureMap"
        await client.say(type="stop", objectId=1)
        await gate.expect(type="stop", objectId=1)
        await gate.expect(type="trackEnded", objectId=1, reason="Stopped")
        await start(client, gate, "gate", image="x" * 900)


async def test_pictures_and_tokens_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="podstream_workloads.tracking"):
        async with serving() as server:
            client, gate = await server.client(images=True), await server.processor("gate")
            await start(client, gate, "gate", image="A" * 100_000)
            await client.next()
            await client.say(type="authenticate", jwt="SECRET" * 3)
            for _ in range(1000):
                await client.say_text("nonsense")
            await client.nothing_more()
            for peer in (client, gate):
                await peer.socket.close()
    lines = [record.message + str(vars(record).get("text", "")) for record in caplog.records]
    assert max(map(len, lines)) < 400
    assert not any("SECRET" in line for line in lines)
    assert sum("nonsense" in line for line in lines) < 500
    assert [line for line in lines if line.startswith("connected")]
    assert [line for line in lines if line.startswith("disconnected")]
    assert [line for line in lines if '"type":"newObject"' in line]


async def test_closing_says_goodbye_to_all() -> None:
    async with serving() as server:
        peers = [await server.client(), await server.processor("gate")]
        await server.orchestrator.close()
        for peer in peers:
            assert await peer.closed() == 1001


async def test_figures_count_what_was_done() -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        for frame in range(3):
            await gate.say(type="boundingBoxes", frameId=frame, boxes=[{"objectId": 1}])
            await client.next()
        figures = server.orchestrator.results()
        assert (figures.cameras, figures.clients) == (1, 1)
        assert (figures.objects_live, figures.objects_ever) == (1, 1)
        assert (figures.boxes_in, figures.boxes_out, figures.dropped) == (3, 3, 0)
        (line,) = figures.timelines
        assert (line.object_id, line.cameras, line.frames) == (1, ("gate",), 3)
        assert json.dumps(line.first).endswith('Z"')
