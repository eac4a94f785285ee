"""Cameras and the real orchestrator, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from podstream_workloads.tracking.edge.analysis import Analyser, TrackedFrame
from podstream_workloads.tracking.edge.processor import Processor
from podstream_workloads.tracking.edge.settings import EdgeSettings, ProcessorSettings
from tracking.orchestrator.harness import Server, Wire, serving, until
from tracking.scenes.people import frame
from tracking.scenes.scenes import leave_and_return
from tracking.scenes.walkers import BLUE, GREEN, RED


@contextlib.asynccontextmanager
async def camera(site: Server, name: str) -> AsyncIterator[Processor]:
    url = site.url.replace("http:", "ws:") + "/processor"
    processor = Processor(ProcessorSettings(url, name, first_retry_s=0.01))
    before = site.orchestrator.results().cameras
    task = asyncio.create_task(processor.run())
    try:
        await until(lambda: site.orchestrator.results().cameras > before)
        yield processor
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await until(lambda: site.orchestrator.results().cameras == before)


async def boxes(viewer: Wire, processor: Processor, seen: TrackedFrame) -> Any:
    """What a viewer gets of a frame."""
    processor.send(seen)
    return await viewer.next()


async def test_somebody_chosen_at_the_gate_is_recognised_in_the_yard() -> None:
    async with serving() as site, camera(site, "gate") as gate, camera(site, "yard") as yard:
        viewer = await site.client()
        told = await boxes(viewer, gate, frame(5.0, t3=RED, t4=BLUE))
        assert (told["cameraId"], told["frameId"]) == ("gate", 5.0)
        await viewer.say(type="start", cameraId="gate", frameId=5.0, boxId=3)
        await until(lambda: gate.figures().objects == (1,))
        told = await boxes(viewer, gate, frame(6.0, t3=RED, t4=BLUE))
        await until(lambda: yard.figures().objects == (1,))
        seen = await boxes(viewer, yard, frame(9.0, t1=GREEN, t2=RED))
        await viewer.say(type="stop", objectId=1)
        await until(lambda: not gate.figures().objects and not yard.figures().objects)

        assert [box.get("objectId") for box in told["boxes"]] == [1, None]
        assert seen["cameraId"] == "yard"
        assert [box.get("objectId") for box in seen["boxes"]] == [None, 1]
        assert await site.get("/objectIds") == (200, '{"data":[1]}')


async def test_a_camera_that_dials_again_gets_its_objects_back() -> None:
    async with serving() as site:
        viewer = await site.client()
        async with camera(site, "gate") as gate:
            await boxes(viewer, gate, frame(5.0, t3=RED, t4=BLUE))
            await viewer.say(type="start", cameraId="gate", frameId=5.0, boxId=3)
            await until(lambda: gate.figures().objects == (1,))
            await boxes(viewer, gate, frame(6.0, t3=RED, t4=BLUE))
            # The map has reached the site when its echo is back.
            await until(lambda: gate.figures().received >= 3)
        async with camera(site, "gate") as again:
            await until(lambda: again.figures().objects == (1,))
            told = await boxes(viewer, again, frame(1.0, t7=BLUE, t8=RED))

    assert [box.get("objectId") for box in told["boxes"]] == [None, 1]


async def test_people_who_leave_and_return_in_another_order_are_the_same_objects() -> None:
    """On rendered pictures, from motion to the viewer."""
    analyser = Analyser(EdgeSettings())
    seen = [analyser.analyse(one) for one, _ in leave_and_return().render()]
    walks: dict[int, TrackedFrame] = {}
    for one in seen:
        for box in one.boxes:
            if box.appearance is not None and box.is_apart and 0.4 < box.rect[0] < 0.5:
                walks.setdefault(box.track_id, one)
    first, second, third, fourth = (walks[track_id] for track_id in sorted(walks))
    async with serving() as site, camera(site, "gate") as gate:
        viewer = await site.client()
        for walk in (first, second):
            told = await boxes(viewer, gate, walk)
            number = told["boxes"][0]["boxId"]
            await viewer.say(type="start", cameraId="gate", frameId=told["frameId"], boxId=number)
            await until(lambda: gate.figures().objects[-1:] == (number,))  # noqa: B023
        back = [await boxes(viewer, gate, walk) for walk in (third, fourth)]

    assert [one["boxes"][0].get("objectId") for one in back] == [2, 1]
