"""When an object is given up by time, and who is told."""

import pytest

from podstream_workloads.tracking.orchestrator import OrchestratorSettings
from tracking.orchestrator.harness import FakeClock, serving, start, until


@pytest.mark.parametrize("compat", [False, True])
async def test_a_timeout_is_told_to_processors_and_image_clients(compat: bool) -> None:
    clock = FakeClock()
    settings = OrchestratorSettings(compat=compat, max_tracked_s=10)
    async with serving(settings, clock=clock) as server:
        watching, plain = await server.client(images=True), await server.client()
        gate, yard = await server.processor("gate"), await server.processor("yard")
        await start(plain, gate, "gate")
        await watching.expect(type="newObject", objectId=1)
        clock.advance(9.9)
        server.orchestrator.look_after()
        await gate.nothing_more()
        clock.advance(0.2)
        for peer in (yard, watching):
            await peer.expect(type="stop", objectId=1)
        await gate.expect(type="stop", objectId=1)
        await gate.expect(type="trackEnded", objectId=1, reason="MaxTracked")
        await plain.nothing_more()
        assert server.orchestrator.results().objects_live == 0


async def test_the_age_counts_from_the_start_whatever_is_sighted() -> None:
    clock = FakeClock()
    async with serving(OrchestratorSettings(max_tracked_s=10), clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        for _ in range(11):
            clock.advance(1)
            await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
            await client.next()
        await gate.expect(type="stop", objectId=1)


async def test_a_sighting_refreshes_the_idle_time() -> None:
    clock = FakeClock()
    async with serving(OrchestratorSettings(idle_s=10), clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        for frame in range(5):
            clock.advance(9)
            server.orchestrator.look_after()
            await gate.say(type="boundingBoxes", frameId=frame, boxes=[{"objectId": 1}])
            await client.next()
        await gate.nothing_more()
        clock.advance(10)
        await gate.expect(type="stop", objectId=1)
        await gate.expect(type="trackEnded", objectId=1, reason="Idle")


async def test_objects_still_time_out_after_hours() -> None:
    clock = FakeClock()
    async with serving(OrchestratorSettings(max_tracked_s=600), clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        for _ in range(2 * 3600):
            clock.advance(0.5)
            server.orchestrator.look_after()
        await start(client, gate, "gate")
        for _ in range(2 * 599):
            clock.advance(0.5)
            server.orchestrator.look_after()
        assert server.orchestrator.results().objects_live == 1
        clock.advance(1)
        await gate.expect(type="stop", objectId=1)
        assert await start(client, gate, "gate") == 2


async def test_without_limits_objects_stay() -> None:
    clock = FakeClock()
    async with serving(clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        clock.advance(10 * 24 * 3600)
        server.orchestrator.look_after()
        await gate.nothing_more()


async def test_an_early_look_survives_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that looks after time goes on when one look fails."""
    clock = FakeClock()
    async with serving(OrchestratorSettings(max_tracked_s=1), clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        failed = []

        def fail() -> None:
            failed.append(True)
            raise RuntimeError("once")

        with monkeypatch.context() as patch:
            patch.setattr(server.orchestrator, "look_after", fail)
            await until(lambda: failed)
        clock.advance(2)
        await gate.expect(type="stop", objectId=1)
