"""Processor ids: twice the same, a second one, and coming back."""

from pathlib import Path

import pytest

from podstream_workloads.tracking.orchestrator import OrchestratorSettings, SqliteTimelines
from tracking.orchestrator.harness import FakeClock, serving, start, until


async def test_the_newest_of_an_id_stays_reachable_and_the_older_is_closed() -> None:
    async with serving() as server:
        client, old = await server.client(), await server.processor("gate")
        new = await server.connect("/processor")
        await new.say(type="identifier", id="gate")
        assert await old.closed() == 4409
        assert await start(client, new, "gate") == 1
        assert server.orchestrator.results().cameras == 1


async def test_in_compat_the_older_stays_connected_and_its_close_changes_nothing() -> None:
    async with serving(OrchestratorSettings(compat=True)) as server:
        client, old = await server.client(), await server.processor("gate")
        new = await server.connect("/processor")
        await new.say(type="identifier", id="gate")
        assert await start(client, new, "gate") == 1
        await old.say(type="boundingBoxes", frameId=1.0, boxes=[])
        await client.expect(type="boundingBoxes", cameraId="gate", frameId=1.0, boxes=[])
        await old.nothing_more()
        await old.socket.close()
        assert await start(client, new, "gate") == 2


async def test_a_second_id_replaces_the_first() -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("first")
        await gate.say(type="identifier", id="second")
        await gate.nothing_more()
        await client.say(type="hello")
        await client.next()
        await client.say(type="start", cameraId="first", frameId=1, boxId=1)
        assert (await client.next())["code"] == "UnknownProcessor"
        assert await start(client, gate, "second") == 1
        await gate.say(type="boundingBoxes", frameId=1, boxes=[])
        assert (await client.next())["cameraId"] == "second"


async def test_the_same_id_again_replays() -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        await gate.say(type="identifier", id="gate")
        await gate.expect(type="featureMap", objectId=1, featureMap={})
        await gate.expect(type="start", objectId=1, frameId=5.0, boxId=0)
        await gate.nothing_more()


@pytest.mark.parametrize("compat", [False, True])
async def test_a_restarted_processor_gets_feature_maps_and_then_its_targets(compat: bool) -> None:
    async with serving(OrchestratorSettings(compat=compat)) as server:
        client = await server.client()
        gate, yard = await server.processor("gate"), await server.processor("yard")
        await start(client, gate, "gate", frameId=5.0, boxId=0, image="x")
        await start(client, yard, "yard")
        await start(client, gate, "gate", image="y")
        await client.say(type="stop", objectId=3)
        await gate.expect(type="stop", objectId=3)
        await gate.say(type="featureMap", objectId=1, featureMap=[1.5])
        await gate.expect(type="featureMap", objectId=1, featureMap=[1.5])
        await gate.socket.close()
        await until(lambda: server.orchestrator.results().cameras == 1)
        gate = await server.processor("gate")
        await gate.expect(type="featureMap", objectId=1, featureMap=[1.5])
        await gate.expect(type="featureMap", objectId=2, featureMap={})
        await gate.expect(type="start", objectId=1, frameId=5.0, boxId=0, image="x")
        await gate.nothing_more()


@pytest.mark.parametrize("name", ["gate", 5, 5.5, None, False, ""])
async def test_an_id_may_be_any_scalar(name: object) -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.connect("/processor")
        await gate.say(type="identifier", id=name)
        await client.say(type="hello")
        await client.next()
        await until(lambda: server.orchestrator.results().cameras == 1)
        await client.say(type="start", cameraId=name, frameId=1, boxId=1)
        await gate.expect(type="start", objectId=1, frameId=1, boxId=1)
        await client.say(type="start", cameraId=f"{name} no", frameId=1, boxId=1)
        assert (await client.next())["code"] == "UnknownProcessor"


async def test_clients_that_connect_before_either_authenticates_both_get_broadcasts() -> None:
    async with serving() as server:
        first, second = await server.client(), await server.client()
        gate = await server.processor("gate")
        await gate.say(type="boundingBoxes", frameId=1, boxes=[])
        for client in (first, second):
            await client.expect(type="boundingBoxes", cameraId="gate", frameId=1, boxes=[])


async def test_all_survives_a_restart_of_the_orchestrator(tmp_path: Path) -> None:
    file = tmp_path / "site.sqlite3"
    async with serving(store=SqliteTimelines(file)) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate", frameId=5.0, boxId=0, image="x")
        await start(client, gate, "gate", frameId=7, boxId=1)
        await gate.say(type="featureMap", objectId=1, featureMap=[1.5, 2])
        await gate.expect(type="featureMap", objectId=1, featureMap=[1.5, 2])
        await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}, {"objectId": 2}])
        await client.next()
        await client.say(type="stop", objectId=2)
        await gate.expect(type="stop", objectId=2)
        kept = await server.get("/timelines?objectId=1&intervals=1")
        assert kept[0] == 200
    async with serving(store=SqliteTimelines(file)) as server:
        gate = await server.processor("gate")
        assert await gate.text() == '{"type":"featureMap","objectId":1,"featureMap":[1.5, 2]}'
        assert await gate.text() == (
            '{"type":"start","objectId":1,"frameId":5.0,"boxId":0,"image":"x"}'
        )
        late = await server.client(images=True)
        await late.expect(type="newObject", objectId=1, image="x")
        assert await start(late, gate, "gate") == 3
        assert await server.get("/objectIds") == (200, '{"data":[1, 2, 3]}')
        assert await server.get("/timelines?objectId=1&intervals=1") == kept
        assert (await server.get("/timelines?objectId=3"))[0] == 400
        figures = server.orchestrator.results()
        assert (figures.objects_ever, figures.objects_live, figures.timelines_total) == (3, 2, 2)
        assert [line.object_id for line in figures.timelines] == [1, 2]


async def test_ages_go_on_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "site.sqlite3"
    settings = OrchestratorSettings(max_tracked_s=100)
    async with serving(settings, store=SqliteTimelines(file), clock=FakeClock()) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
    clock = FakeClock(now=5, date=FakeClock().date + 90)
    async with serving(settings, store=SqliteTimelines(file), clock=clock) as server:
        server.orchestrator.look_after()
        assert server.orchestrator.results().objects_live == 1
        clock.advance(11)
        server.orchestrator.look_after()
        assert server.orchestrator.results().objects_live == 0
