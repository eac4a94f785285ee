"""Changes of the spec on a session that runs: a real agent with the real stream workload."""

import asyncio
import json
import time
from typing import Any

import pytest

from agent.conftest import StartAgent
from agent.harness import (
    SESSION,
    AgentProcess,
    Answer,
    StreamClient,
    assignment_token,
    connection_token,
    control_token,
    eventually,
    nobody_connected,
)
from podstream_core.agentapi import AgentPhase, Protocol
from podstream_core.api import Recording, SessionSpec, Stream, StreamResults, StreamState

FRAME = bytes(64 * 48 * 3)


def spec(*, recorded: bool = False) -> SessionSpec:
    stream = Stream(width=64, height=48, recording=Recording(enabled=recorded))
    return SessionSpec(stream=stream, linger_seconds=0, reconnect_seconds=60)


@pytest.fixture
async def streaming(start_agent: StartAgent) -> AgentProcess:
    agent = await start_agent(ECHO_REAL="1", PODSTREAM_WORKLOADS="stream")
    answer = await agent.assign(assignment_token(spec()))
    assert answer.status == 200, answer.text
    await agent.reaches(lambda state: state.phase.value == "Ready")
    return agent


async def dial(
    agent: AgentProcess, protocol: Protocol, *, role: str, holder: str
) -> tuple[StreamClient, Any]:
    token = connection_token(protocol=protocol, role=role, workload="stream", holder=holder)
    client = await agent.raw_stream()
    await client.send(json.dumps({"token": token}).encode() + b"\n")
    return client, await client.reply()


async def publisher(agent: AgentProcess) -> StreamClient:
    client, reply = await dial(agent, Protocol.TCP, role="publisher", holder="anna")
    assert reply["ok"]
    return client


async def viewer(agent: AgentProcess, *, holder: str) -> tuple[StreamClient, Any]:
    return await dial(agent, Protocol.VIEW, role="viewer", holder=holder)


async def put(agent: AgentProcess, *, generation: int = 2, **stream: Any) -> Answer:
    body = {
        "assignmentId": SESSION.uid,
        "generation": generation,
        "live": {"stream": {"state": "Running", "recording": False, **stream}},
    }
    return await agent.call("PUT", "/spec", token=control_token(), json_body=body)


def figures(answer: Answer) -> StreamResults:
    assert answer.status == 200, answer.text
    return StreamResults.from_body(answer.json["results"]["stream"])


async def received(agent: AgentProcess, count: int) -> None:
    await agent.reaches(
        lambda state: (
            state.results is not None
            and state.results.stream is not None
            and state.results.stream.frames_received + state.results.stream.frames_discarded
            == count
        )
    )


async def test_recording_begins_and_ends_by_the_spec(streaming: AgentProcess) -> None:
    client = await publisher(streaming)
    await client.send(FRAME * 2)
    await received(streaming, 2)
    begun = figures(await put(streaming, recording=True))
    assert begun.recording is not None
    assert begun.recording.active
    await client.send(FRAME * 7)
    await received(streaming, 9)
    ended = figures(await put(streaming, generation=3))
    assert ended.recording is not None
    assert (ended.recording.active, ended.recording.frames) == (False, 7)
    (file,) = ended.recordings
    listed = await streaming.call("GET", "/results", token=control_token())
    (item,) = listed.json["items"]
    assert item == {"name": f"stream-{file.name}", "size": file.bytes, "sha256": file.sha256}


async def test_stopped_stream_drops_frames_and_keeps_its_publisher(
    streaming: AgentProcess,
) -> None:
    client = await publisher(streaming)
    await client.send(FRAME)
    await received(streaming, 1)
    await put(streaming, recording=True)
    await client.send(FRAME * 3)
    await received(streaming, 4)
    stopped = figures(await put(streaming, generation=3, state="Stopped", recording=True))
    assert stopped.state is StreamState.STOPPED
    assert stopped.recording is not None
    assert (stopped.recording.active, stopped.recording.frames) == (False, 3)
    await client.send(FRAME * 2)
    await received(streaming, 6)
    figures(await put(streaming, generation=4, recording=True))
    await client.send(FRAME * 5)
    await received(streaming, 11)
    last = figures(await put(streaming, generation=5))
    assert (last.frames_received, last.frames_discarded) == (9, 2)
    assert [item.frames for item in last.recordings] == [3, 5]


async def test_change_acts_while_nobody_is_connected(streaming: AgentProcess) -> None:
    assert figures(await put(streaming, state="Stopped")).state is StreamState.STOPPED
    state = await streaming.state()
    assert state.live is not None
    assert state.live.stream is not None
    assert state.live.stream.state is StreamState.STOPPED


async def test_older_change_does_not_undo_a_newer_one(streaming: AgentProcess) -> None:
    await put(streaming, generation=5, state="Stopped")
    assert figures(await put(streaming, generation=4)).state is StreamState.STOPPED
    assert figures(await put(streaming, generation=6)).state is StreamState.RUNNING


async def test_newer_change_counts_also_where_it_changes_nothing(
    streaming: AgentProcess,
) -> None:
    await put(streaming, generation=5)
    answer = await put(streaming, generation=4, state="Stopped")
    assert answer.json["live"]["stream"]["state"] == "Running", answer.text


async def test_change_of_another_session_is_refused(streaming: AgentProcess) -> None:
    body = {"assignmentId": "other", "generation": 1, "live": {}}
    answer = await streaming.call("PUT", "/spec", token=control_token(), json_body=body)
    assert (answer.status, answer.error) == (409, "AlreadyAssigned")
    answer = await streaming.call("PUT", "/spec", json_body=body)
    assert answer.status == 401


async def test_session_does_not_live_by_its_viewers(streaming: AgentProcess) -> None:
    first, reply = await viewer(streaming, holder="v1")
    assert reply["ok"]
    state = await streaming.reaches(
        lambda state: bool(state.results and state.results.stream and state.results.stream.viewers)
    )
    assert (state.phase, state.timeline.connected_at) == (AgentPhase.READY, None)
    assert [item.observer for item in state.connections] == [True]
    _, refused = await viewer(streaming, holder="v2")
    assert refused["error"] == "Busy"
    assert "1 places for a viewer" in refused["message"]
    client = await publisher(streaming)
    await client.send(FRAME)
    assert await first.reader.readexactly(len(FRAME)) == FRAME
    first.close()
    await streaming.reaches(lambda state: len(state.connections) == 1)
    again, reply = await viewer(streaming, holder="v3")
    assert reply["ok"]
    client.close()
    await streaming.reaches(lambda state: any(not item.connected for item in state.connections))
    streaming.terminate()
    assert await again.ended() == b""


async def test_recording_is_finished_when_the_session_ends(streaming: AgentProcess) -> None:
    await put(streaming, recording=True)
    client = await publisher(streaming)
    await client.send(FRAME * 4)
    await received(streaming, 4)
    streaming.terminate()
    await streaming.exit_code()
    results = streaming.record().results
    assert results is not None
    assert results.stream is not None
    assert [item.frames for item in results.stream.recordings] == [4]


async def test_codec_that_crashes_is_a_reason_not_a_lost_session(
    streaming: AgentProcess,
) -> None:
    streaming.child().kill()
    await asyncio.to_thread(streaming.popen.wait)
    await eventually(lambda: streaming.record().failure)
    failure = streaming.record().failure
    assert failure is not None
    assert failure.reason == "WorkloadCrashed"


@pytest.mark.parametrize("moment", ["waiting", "streaming", "left"])
async def test_session_is_ended_at_any_moment_with_its_recording_whole(
    streaming: AgentProcess, moment: str
) -> None:
    await put(streaming, recording=True)
    if moment != "waiting":
        client = await publisher(streaming)
        await client.send(FRAME * 4)
        await received(streaming, 4)
        if moment == "left":
            client.close()
            await nobody_connected(streaming)
    order = {"reason": "Ended", "message": "by its user"}
    begun = time.monotonic()
    answer = await streaming.call("POST", "/drain", token=control_token(), json_body=order)
    assert answer.status == 202
    await streaming.exit_code()
    print(f"{moment}: ended after {time.monotonic() - begun:.2f} s")
    results = streaming.record().results
    assert results is not None
    assert results.stream is not None
    wanted = [] if moment == "waiting" else [4]
    assert [item.frames for item in results.stream.recordings] == wanted
