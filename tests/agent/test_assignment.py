import asyncio
import base64
import json
from collections import Counter
from typing import Any

import pytest

from agent.harness import (
    KEY,
    POD_UID,
    SESSION,
    AgentProcess,
    assignment_token,
    connection_token,
    control_token,
    new_id,
    spec,
)
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.tokens import SigningKey, TokenType, pod_audience


async def test_one_of_fifty_parallel_assignments_wins(agent: AgentProcess) -> None:
    ids = [new_id() for _ in range(50)]
    answers = await asyncio.gather(
        *(agent.assign(assignment_token(spec(), assignment_id=item)) for item in ids)
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}
    assert {answer.error for answer in answers if answer.status == 409} == {"AlreadyAssigned"}
    (winner,) = [item for item, answer in zip(ids, answers, strict=True) if answer.status == 200]
    assert (await agent.state()).assignment_id == winner


async def test_same_assignment_again_is_confirmed(agent: AgentProcess) -> None:
    first = await agent.assign(assignment_token(spec()))
    again = await agent.assign(assignment_token(spec()))
    assert (first.status, again.status) == (200, 200)
    state = AgentState.from_body(again.json)
    assert state.session == SESSION
    assert state.assignment_id == SESSION.uid
    assert state.timeline.assigned_at == AgentState.from_body(first.json).timeline.assigned_at


async def test_session_becomes_ready_and_its_times_have_microseconds(agent: AgentProcess) -> None:
    state = await agent.assigned()
    times = state.timeline
    assert times.assigned_at is not None
    assert times.ready_at is not None
    assert times.ready_at > times.assigned_at
    assert times.ready_at.microsecond or times.assigned_at.microsecond
    assert agent.record().phase is AgentPhase.READY
    await agent.logged("agent listens")
    assert "echo configured for default/ball at 127.0.0.1\n" in agent.log


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["spec"]["lingerSeconds"] = 3600
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(assignment_token(spec(), lifetime_s=-31), id="expired"),
        pytest.param(assignment_token(spec(), audience=pod_audience("other")), id="other-pod"),
        pytest.param(assignment_token(spec(), key=SigningKey.generate()), id="foreign-key"),
        pytest.param(assignment_token(spec(), kind=TokenType.CONTROL), id="control-token"),
        pytest.param(assignment_token(spec(), kind=TokenType.CLIENT), id="client-token"),
        pytest.param(assignment_token(spec(), subject="other"), id="other-subject"),
        pytest.param(tampered(assignment_token(spec())), id="tampered"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no-token"),
    ],
)
async def test_unacceptable_assignment_token_is_401(idle_agent: AgentProcess, token: str) -> None:
    answer = await idle_agent.assign(token)
    assert (answer.status, answer.error) == (401, "InvalidToken")
    assert (await idle_agent.state()).phase is AgentPhase.IDLE


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({}, "no workload", id="no-workload"),
        pytest.param({"circle": {"fps": 0}}, "circle.fps", id="out-of-bounds"),
        pytest.param({"circle": {"width": "wide"}}, "circle.width", id="wrong-type"),
    ],
)
async def test_spec_that_cannot_be_read_is_422_and_leaves_the_pod_free(
    agent: AgentProcess, body: dict[str, Any], named: str
) -> None:
    answer = await agent.assign(assignment_token(body))
    assert (answer.status, answer.error) == (422, "SpecRejected")
    assert named in answer.json["message"]
    assert (await agent.assign(assignment_token(spec()))).status == 200


@pytest.mark.parametrize(
    "path", ["/state", "/results", "/results/x", "/drain", "/retire", "/media-path"]
)
@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param(control_token(audience=pod_audience("other")), id="other-pod"),
        pytest.param(control_token(key=SigningKey.generate()), id="foreign-key"),
        pytest.param(assignment_token(spec()), id="assignment-token"),
        pytest.param(connection_token(), id="connection-token"),
    ],
)
async def test_control_calls_need_a_control_token(
    idle_agent: AgentProcess, path: str, token: str | None
) -> None:
    method = "POST" if path in ("/drain", "/retire", "/media-path") else "GET"
    answer = await idle_agent.call(method, path, token=token)
    assert (answer.status, answer.error) == (401, "InvalidToken")


async def test_health_and_metrics_are_open(idle_agent: AgentProcess) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await idle_agent.call("GET", path)).status == 200
    metrics = (await idle_agent.call("GET", "/metrics")).text
    assert 'podstream_agent_phase{phase="Idle"} 1.0' in metrics
    assert "# HELP podstream_agent_assignments_total" in metrics


async def test_readiness_does_not_show_the_gate(agent: AgentProcess) -> None:
    await agent.assigned()
    assert (await agent.whep()).status == 201
    assert (await agent.call("GET", "/readyz")).status == 200


async def test_unknown_path_and_unreadable_body_have_the_form_of_refusals(
    idle_agent: AgentProcess,
) -> None:
    unknown = await idle_agent.call("GET", "/nothing")
    assert (unknown.status, unknown.error) == (404, "NotFound")
    unreadable = await idle_agent.call("POST", "/assign", data=b"{")
    assert (unreadable.status, unreadable.error) == (400, "BadRequest")
    too_large = await idle_agent.call("POST", "/assign", data=b" " * (256 * 1024 + 1))
    assert (too_large.status, too_large.error) == (413, "BodyTooLarge")


async def test_pod_uid_is_in_the_state(agent: AgentProcess) -> None:
    assert (await agent.state()).pod_uid == POD_UID
    stale = KEY.sign(
        TokenType.CONTROL, audience=pod_audience(POD_UID), subject="test", lifetime_s=-31
    )
    assert (await agent.call("GET", "/state", token=stale)).status == 401
