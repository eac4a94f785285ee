import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import WSMsgType, web

from podstream_workloads.tracking.edge import wire
from podstream_workloads.tracking.edge.descriptor import to_wire
from podstream_workloads.tracking.edge.outbox import Outbox
from podstream_workloads.tracking.edge.processor import Processor
from podstream_workloads.tracking.edge.settings import ProcessorSettings
from tracking.scenes.people import frame, look, person
from tracking.scenes.walkers import BLUE, RED, Colour


class Site:
    """A scripted orchestrator: keeps what it is told, says what it is asked to."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.url = ""
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/processor", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"ws://127.0.0.1:{self._port}/processor"

    async def close(self) -> None:
        for socket in self.sockets:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with self._changed:
            self.sockets.append(socket)
            self.headers.append(request.headers.get("Authorization"))
            self._changed.notify_all()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                async with self._changed:
                    self.messages.append(json.loads(message.data))
                    self._changed.notify_all()
        return socket

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)

    async def told(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The first messages of a kind, once there are so many."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if one["type"] == kind]

    async def say(self, **message: Any) -> None:
        await self.sockets[-1].send_str(json.dumps(message))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await made.open()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def running(site: Site, **settings: Any) -> AsyncIterator[Processor]:
    made = ProcessorSettings(site.url, "gate", first_retry_s=0.01, last_retry_s=0.05)
    processor = Processor(replace(made, **settings))
    task = asyncio.create_task(processor.run())
    try:
        yield processor
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """The processor tells nobody of its changes: ask until they are there."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def obeyed(processor: Processor, received: int) -> None:
    """Until the processor has read so many messages."""
    await until(lambda: processor.figures().received >= received)


async def test_it_says_who_it_is_at_once_and_sends_boxes(site: Site) -> None:
    async with running(site) as processor:
        processor.send(frame(5.0, t3=RED))
        processor.send(frame(6.0))
        boxes = await site.told("boundingBoxes", 2)

    assert site.messages[:2] == [
        {"type": "identifier", "id": "gate"},
        {"type": "hello", "protocol": 1},
    ]
    assert boxes == [
        {
            "type": "boundingBoxes",
            "frameId": 5.0,
            "boxes": [
                {
                    "boxId": 3,
                    "rect": [0.1, 0.2, 0.3, 0.33333],
                    "objectType": "person",
                    "certainty": 0.91,
                }
            ],
        },
        {"type": "boundingBoxes", "frameId": 6.0, "boxes": []},
    ]


def test_a_frame_id_is_a_float_even_at_whole_seconds() -> None:
    assert '"frameId":5.0,' in wire.bounding_boxes(frame(5), objects={})


async def test_a_token_comes_first_and_again_when_it_changes(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstream_workloads.tracking.edge.processor._TOKEN_CHECK_S", 0.01)
    token = tmp_path / "token"
    token.write_text("first\n")
    async with running(site, token_file=token, headers=(("Authorization", "Bearer r"),)):
        await site.told("hello")
        token.write_text("second\n")
        told = await site.told("authenticate", 2)

    assert site.messages[0] == {"type": "authenticate", "jwt": "first"}
    assert site.messages[1] == {"type": "identifier", "id": "gate"}
    assert told[1]["jwt"] == "second"
    assert site.headers == ["Bearer r"]


async def test_the_router_s_token_is_read_for_each_connection(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    async with running(site, bearer_file=file):
        await site.told("identifier")
        file.write_text("renewed\n")
        await site.sockets[0].close()
        await site.told("identifier", 2)
    assert site.headers == ["Bearer first", "Bearer renewed"]


async def test_a_started_box_becomes_the_object_and_its_map_is_sent(site: Site) -> None:
    async with running(site) as processor:
        processor.send(frame(1.0, t3=RED, t4=BLUE))
        await site.told("boundingBoxes")
        await site.say(type="start", objectId=1, frameId=1.0, boxId=3, image="data:,none")
        await obeyed(processor, 1)
        processor.send(frame(2.0, t3=RED, t4=BLUE))
        (told,) = await site.told("featureMap")
        boxes = await site.told("boundingBoxes", 2)
        await site.say(type="stop", objectId=1)
        await obeyed(processor, 2)
        processor.send(frame(3.0, t3=RED))
        last = (await site.told("boundingBoxes", 3))[2]

    assert told["objectId"] == 1
    assert told["featureMap"] == to_wire(look(RED))
    assert [box.get("objectId") for box in boxes[1]["boxes"]] == [1, None]
    assert "objectId" not in last["boxes"][0]


def data_url(colour: Colour) -> str:
    _, png = cv2.imencode(".png", person(colour))
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()


async def test_an_image_alone_starts_a_search(site: Site) -> None:
    async with running(site) as processor:
        await site.told("hello")
        await site.say(type="start", objectId=2, image=data_url(BLUE))
        await obeyed(processor, 1)
        processor.send(frame(2.0, t3=RED, t4=BLUE))
        (boxes,) = await site.told("boundingBoxes")

    assert [box.get("objectId") for box in boxes["boxes"]] == [None, 2]


async def test_a_map_of_another_camera_is_recognised(site: Site) -> None:
    async with running(site) as processor:
        await site.told("hello")
        await site.say(type="featureMap", objectId=9, featureMap={})
        await site.say(type="featureMap", objectId=9, featureMap=to_wire(look(RED)))
        await obeyed(processor, 2)
        processor.send(frame(2.0, t3=RED, t4=BLUE))
        (boxes,) = await site.told("boundingBoxes")

    assert [box.get("objectId") for box in boxes["boxes"]] == [9, None]


async def test_what_makes_no_sense_is_ignored_and_the_connection_stays(site: Site) -> None:
    bad: list[Any] = [
        "no json",
        "[]",
        "{}",
        "7",
        json.dumps({"type": "start"}),
        json.dumps({"type": "start", "objectId": "1"}),
        json.dumps({"type": "stop", "objectId": True}),
        json.dumps({"type": "featureMap", "objectId": 1, "featureMap": "x"}),
        json.dumps({"type": "featureMap", "objectId": 1, "featureMap": [10**400]}),
        json.dumps({"type": {"deep": 1}}),
        "[" * 100_000,
    ]
    async with running(site) as processor:
        await site.told("hello")
        for text in bad:
            await site.sockets[0].send_str(text)
        await site.sockets[0].send_bytes(b"bytes")
        await site.say(type="start", objectId=1, boxId=77, image="data:image/png;base64,AAAA")
        await site.say(type="error", code="Refused", message="no")
        await obeyed(processor, len(bad) + 2)
        processor.send(frame(1.0))
        await site.told("boundingBoxes")
        figures = processor.figures()

    assert figures.ignored == len(bad)
    assert len(site.sockets) == 1


async def test_boxes_wait_for_a_lost_site_and_the_oldest_go_first(site: Site) -> None:
    async with running(site, buffered=3) as processor:
        await site.told("hello")
        await site.close()
        await until(lambda: not processor.figures().connected)
        for second in range(5):
            processor.send(frame(float(second)))
        site.messages.clear()
        await site.open()
        boxes = await site.told("boundingBoxes", 3)
        figures = processor.figures()

    assert [one["frameId"] for one in boxes] == [2.0, 3.0, 4.0]
    assert site.messages[0] == {"type": "identifier", "id": "gate"}
    assert (figures.dropped, figures.connections) == (2, 2)


async def test_objects_outlive_a_lost_connection(site: Site) -> None:
    async with running(site) as processor:
        processor.send(frame(1.0, t3=RED))
        await site.told("boundingBoxes")
        await site.say(type="start", objectId=1, boxId=3)
        await obeyed(processor, 1)
        await site.sockets[0].close(code=1012)
        await site.until(lambda: len(site.of("identifier")) == 2)
        processor.send(frame(2.0, t3=RED))
        boxes = await site.told("boundingBoxes", 2)

    assert boxes[1]["boxes"][0]["objectId"] == 1


async def test_a_site_that_is_not_there_is_no_failure() -> None:
    unreachable = Site()
    await unreachable.open()
    await unreachable.close()
    async with running(unreachable) as processor:
        await until(lambda: bool(processor.figures().last_error))

        assert not processor.figures().connected


async def test_maps_of_the_outbox_are_never_dropped_and_go_first() -> None:
    outbox = Outbox(most_boxes=2)
    for number in range(4):
        outbox.put_boxes(f"boxes {number}")
        outbox.put_feature_map(number % 2, f"map {number}")
    outbox.forget(0)

    taken = [await outbox.get() for _ in range(len(outbox))]
    assert taken == [(1, "map 3"), (None, "boxes 2"), (None, "boxes 3")]
    assert outbox.dropped == 2


async def test_what_could_not_be_sent_goes_first_and_a_newer_map_instead_of_it() -> None:
    outbox = Outbox(most_boxes=1)
    outbox.put_feature_map(1, "newer")
    outbox.put_boxes("newest")
    for object_id, message in ((1, "older"), (2, "map"), (None, "old boxes")):
        outbox.put_back(object_id, message)

    taken = [await outbox.get() for _ in range(len(outbox))]
    assert taken == [(1, "newer"), (2, "map"), (None, "newest")]
    assert outbox.dropped == 1


def test_only_pictures_of_a_bearable_size_are_unpacked() -> None:
    _, jpeg = cv2.imencode(".jpg", np.zeros((40, 30, 3), np.uint8))
    plain = base64.b64encode(jpeg.tobytes()).decode()
    assert wire.picture(plain) is not None
    assert wire.picture(data_url(RED)) is not None

    _, png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    bomb = bytearray(png.tobytes())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    assert wire.picture(base64.b64encode(bytes(bomb)).decode()) is None
    assert wire.picture("data:text/plain;base64,aGVsbG8=") is None
    assert wire.picture("no base64") is None
    assert (
        wire.picture("data:image/png;base64," + base64.b64encode(png.tobytes()[:40]).decode())
        is None
    )
