import pytest

from agent.harness import (
    SESSION,
    AgentProcess,
    assignment_token,
    connection_token,
    control_token,
    spec,
)
from podstream_core.agentapi import AgentPhase, Protocol
from podstream_core.api import Circle, SessionSpec
from podstream_core.names import CONNECTION_HEADER


async def test_offer_is_answered_and_takes_the_slot(agent: AgentProcess) -> None:
    await agent.assigned()
    answer = await agent.whep()
    assert answer.status == 201
    assert answer.headers["Content-Type"].startswith("application/sdp")
    connection = answer.headers[CONNECTION_HEADER]
    assert answer.text == f"v=0\r\ns={connection}\r\n"
    state = await agent.reaches(lambda state: state.timeline.first_frame_at is not None)
    assert state.phase is AgentPhase.CONNECTED
    assert state.timeline.connected_at is not None
    (info,) = state.connections
    assert (info.id, info.workload, info.role) == (connection, "circle", "player")
    assert (info.protocol, info.connected) == (Protocol.WHEP, True)
    assert info.client_address == "192.0.2.7"


async def test_a_second_client_is_busy_whoever_it_is_while_the_first_plays(
    agent: AgentProcess,
) -> None:
    await agent.assigned()
    first = await agent.whep(holder="anna")
    for holder in ("bert", "anna"):
        busy = await agent.whep(holder=holder)
        assert (busy.status, busy.error) == (409, "Busy")
    (info,) = (await agent.state()).connections
    assert info.id == first.headers[CONNECTION_HEADER]
    path = f"/whep/{info.id}"
    assert (
        await agent.call("DELETE", path, port="connect", token=connection_token())
    ).status == 200
    again = await agent.whep(holder="anna")
    assert again.status == 201
    stale = await agent.call("DELETE", path, port="connect", token=connection_token())
    assert (stale.status, stale.error) == (404, "NoSuchConnection")


async def test_slot_is_kept_for_its_holder_then_the_session_completes(
    agent: AgentProcess,
) -> None:
    await agent.assigned()
    first = await agent.whep(holder="anna")
    path = f"/whep/{first.headers[CONNECTION_HEADER]}"
    token = connection_token()
    assert (await agent.call("DELETE", path, port="connect", token=token)).status == 200
    state = await agent.state()
    assert [item.connected for item in state.connections] == [False]
    assert state.phase is AgentPhase.CONNECTED
    assert (await agent.whep(holder="bert")).error == "Busy"
    back = await agent.whep(holder="anna")
    assert back.status == 201
    path = f"/whep/{back.headers[CONNECTION_HEADER]}"
    assert (await agent.call("DELETE", path, port="connect", token=token)).status == 200
    # Nobody comes back within reconnectSeconds (1): the last slot expires, the session is over.
    assert await agent.exit_code() == 0
    assert agent.record().phase is AgentPhase.COMPLETED


async def test_candidates_are_dropped(agent: AgentProcess) -> None:
    await agent.assigned()
    answer = await agent.whep()
    path = f"/whep/{answer.headers[CONNECTION_HEADER]}"
    patched = await agent.call(
        "PATCH", path, port="connect", token=connection_token(), data="a=candidate:1"
    )
    assert patched.status == 204
    unknown = await agent.call(
        "PATCH", "/whep/unknown", port="connect", token=connection_token(), data="a=x"
    )
    assert (unknown.status, unknown.error) == (404, "NoSuchConnection")


@pytest.mark.parametrize(
    ("offer", "status", "error"),
    [
        pytest.param("bad", 400, "BadOffer", id="bad"),
        pytest.param("unsupported", 422, "UnsupportedOffer", id="unsupported"),
        pytest.param("  ", 400, "BadOffer", id="empty"),
        pytest.param("v" * (64 * 1024 + 1), 413, "BodyTooLarge", id="oversize"),
    ],
)
async def test_refused_offer_leaves_the_slot_free(
    agent: AgentProcess, offer: str, status: int, error: str
) -> None:
    await agent.assigned()
    refused = await agent.whep(offer, holder="anna")
    assert (refused.status, refused.error) == (status, error)
    assert (await agent.state()).phase is AgentPhase.READY
    assert (await agent.whep(holder="bert")).status == 201


async def test_connections_wait_until_assigned_and_ready(agent: AgentProcess) -> None:
    before = await agent.whep()
    assert (before.status, before.error) == (425, "NotReady")
    assert (await agent.assign(assignment_token(spec(fps=1)))).status == 200
    starting = await agent.whep()
    assert (starting.status, starting.error) == (425, "NotReady")
    assert (await agent.state()).phase is AgentPhase.STARTING
    await agent.logged("assigned")
    await agent.reaches(lambda _state: any(agent.folder.glob("agent-*/artefacts/circle")))
    next(agent.folder.glob("agent-*/artefacts/circle")).joinpath("go").touch()
    await agent.reaches(lambda state: state.phase is AgentPhase.READY)
    assert (await agent.whep()).status == 201


async def test_grant_must_fit_session_port_and_role(agent: AgentProcess) -> None:
    await agent.assigned()
    for token in (
        connection_token(session_uid="another"),
        connection_token(protocol=Protocol.SIGNALLING),
        control_token(),
        assignment_token(spec()),
    ):
        answer = await agent.whep(token=token)
        assert (answer.status, answer.error) == (401, "InvalidToken")
    unknown = await agent.whep(token=connection_token(role="referee"))
    assert (unknown.status, unknown.error) == (422, "UnknownRole")
    wrong_type = await agent.whep(content_type="text/plain")
    assert (wrong_type.status, wrong_type.error) == (400, "BadOffer")


async def test_connection_that_is_never_established_is_ended(start_agent: object) -> None:
    assert callable(start_agent)
    agent: AgentProcess = await start_agent(PODSTREAM_ESTABLISH_TIMEOUT_SECONDS="0.3")
    await agent.assigned()
    assert (await agent.whep("silent", holder="anna")).status == 201
    state = await agent.reaches(lambda state: not state.connections)
    assert state.phase is AgentPhase.READY
    assert (await agent.whep(holder="bert")).status == 201


async def test_metrics_count_connections_and_slots(agent: AgentProcess) -> None:
    await agent.assigned()
    await agent.whep(holder="anna")
    await agent.whep(holder="bert")
    await agent.reaches(lambda state: state.timeline.first_frame_at is not None)
    text = (await agent.call("GET", "/metrics")).text
    connections = 'podstream_agent_connections_total{protocol="WHEP",result='
    for line in (
        'podstream_agent_assignments_total{result="Accepted"} 1.0',
        connections + '"Accepted",workload="circle"} 1.0',
        connections + '"Busy",workload="circle"} 1.0',
        'podstream_agent_slots{role="player",state="connected",workload="circle"} 1.0',
        'podstream_agent_slots{role="viewer",state="capacity",workload="circle"} 2.0',
        'podstream_agent_workload_events_total{event="established",workload="circle"} 1.0',
    ):
        assert line in text


async def test_lingering_session_refuses_and_serves_its_artefacts(agent: AgentProcess) -> None:
    lingering = SessionSpec(circle=Circle(frames=1), linger_seconds=60)
    assert (await agent.assign(assignment_token(lingering))).status == 200
    await agent.reaches(lambda state: state.phase is AgentPhase.READY)
    client = await agent.stream()
    assert (await client.reply())["ok"] is True
    await client.send(b"line\n")
    state = await agent.reaches(lambda state: state.phase is AgentPhase.COMPLETED)
    assert state.results is not None
    assert state.results.final
    assert state.timeline.completed_at is not None
    assert state.connections == []
    ended = await agent.whep()
    assert (ended.status, ended.error) == (410, "SessionEnded")
    listed = (await agent.call("GET", "/results", token=control_token())).json
    assert listed["results"]["circle"]["framesScored"] == 1
    (item,) = listed["items"]
    assert (item["name"], item["size"]) == ("circle-lines.txt", 8)
    artefact = await agent.call("GET", "/results/circle-lines.txt", token=control_token())
    assert (artefact.status, artefact.text) == (200, "1 lines\n")
    for name in ("nothing.txt", "..%2F..%2Fetc%2Fpasswd"):
        missing = await agent.call("GET", f"/results/{name}", token=control_token())
        assert (missing.status, missing.error) == (404, "NoSuchArtefact")
    assert state.session == SESSION
