"""A peer that does not read holds up nobody, keeps little memory, and is cut off."""

import json

from podstream_workloads.tracking.orchestrator import Limits, OrchestratorSettings
from tracking.orchestrator.harness import FakeClock, Server, Wire, serving, start, until

FRAME = json.dumps([{"boxId": 0, "rect": [0.125] * 4, "objectType": "x" * 11_900}])  # ~12 KB


async def send_and_read(gate: Wire, healthy: list[Wire], frames: range) -> None:
    """Boxes at the pace of those who read them; every one of them gets every frame."""
    for frame in frames:
        await gate.say_text(f'{{"type":"boundingBoxes","frameId":{frame},"boxes":{FRAME}}}')
        for client in healthy:
            assert (await client.next())["frameId"] == frame


async def dropped_some(server: Server, gate: Wire, healthy: list[Wire]) -> int:
    """Send until the kernel, asyncio and the mailbox have taken what they take of a stuck peer."""
    frame = 0
    while server.orchestrator.results().dropped == 0:
        assert frame < 1900, "nothing has ever been dropped"
        await send_and_read(gate, healthy, range(frame, frame + 50))
        frame += 50
    return frame


async def test_a_stuck_client_changes_nothing_for_the_others_and_is_cut_off() -> None:
    clock = FakeClock()
    async with serving(clock=clock) as server:
        healthy = [await server.client() for _ in range(3)]
        stuck = await server.client()
        gate = await server.processor("gate")
        frame = await dropped_some(server, gate, healthy)
        assert frame * len(FRAME) > 2 * 2**20  # what its mailbox holds in order was not dropped
        server.orchestrator.look_after()
        clock.advance(9)
        server.orchestrator.look_after()
        await send_and_read(gate, healthy, range(frame, frame + 5))
        assert server.orchestrator.results().clients == 4
        clock.advance(2)
        await until(lambda: server.orchestrator.results().clients == 3)
        await send_and_read(gate, healthy, range(frame + 5, frame + 10))
        assert server.orchestrator.results().dropped > 0
        await stuck.socket.close()


async def test_a_client_that_catches_up_sees_the_latest_of_each_camera() -> None:
    async with serving() as server:
        healthy, slow = await server.client(), await server.client()
        gate, yard = await server.processor("gate"), await server.processor("yard")
        last = await dropped_some(server, gate, [healthy]) - 1
        await yard.say(type="boundingBoxes", frameId=7, boxes=[])
        await healthy.next()
        frames = []
        while True:
            message = await slow.next()
            if message["cameraId"] == "yard":
                break
            frames.append(message["frameId"])
        missed = next(index for index, frame in enumerate(frames) if frame != index)
        assert missed * len(FRAME) > 2 * 2**20
        assert frames[missed:] == [last]
        await send_and_read(gate, [healthy, slow], range(last + 1, last + 50))


async def test_a_client_that_misses_too_many_control_messages_is_closed_with_1013() -> None:
    limits = Limits(control_messages=10)
    async with serving(OrchestratorSettings(limits=limits)) as server:
        stuck, gate = await server.client(images=True), await server.processor("gate")
        client = await server.client()
        await stuck.nothing_more()
        while not any(peer.parting for peer in server.orchestrator._peers):
            number = await start(client, gate, "gate", image="A" * 2**20)
            await client.say(type="stop", objectId=number)
            await gate.expect(type="stop", objectId=number)
        assert await stuck.closed() == 1013
        await client.nothing_more()


async def test_control_messages_overtake_nothing_and_none_is_lost() -> None:
    async with serving() as server:
        slow, gate = await server.client(images=True), await server.processor("gate")
        client = await server.client()
        await slow.nothing_more()
        for _ in range(40):
            number = await start(client, gate, "gate", image="A" * 2**18)
            await client.say(type="stop", objectId=number)
            await gate.expect(type="stop", objectId=number)
        for number in range(1, 41):
            assert (await slow.next())["objectId"] == number
            told = [await slow.next(), await slow.next()]
            assert [item["type"] for item in told] == ["stop", "trackEnded"]


async def test_a_peer_that_does_not_answer_a_goodbye_is_cut_off() -> None:
    async with serving() as server:
        await server.processor("gate")  # never reads, so never answers
        new = await server.connect("/processor")
        await new.say(type="identifier", id="gate")
        await until(lambda: len(server.orchestrator._peers) == 1)
        await new.nothing_more()
