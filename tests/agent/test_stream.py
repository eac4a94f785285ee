import asyncio
import json

import pytest

from agent.harness import AgentProcess, connection_token, nobody_connected
from podstream_core.agentapi import AgentPhase, Protocol


async def test_bytes_after_the_preamble_belong_to_the_workload(agent: AgentProcess) -> None:
    await agent.assigned()
    client = await agent.stream(after=b"early\n")
    reply = await client.reply()
    assert reply["ok"] is True
    assert await client.line() == b"early\n"
    await client.send(b"later\n")
    assert await client.line() == b"later\n"
    (info,) = (await agent.state()).connections
    assert (info.id, info.protocol) == (reply["connection"], Protocol.SIGNALLING)


async def test_preamble_may_arrive_byte_by_byte(agent: AgentProcess) -> None:
    await agent.assigned()
    token = connection_token(protocol=Protocol.SIGNALLING)
    client = await agent.raw_stream()
    for byte in json.dumps({"token": token}).encode() + b"\nhello\n":
        await client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.reply())["ok"] is True
    assert await client.line() == b"hello\n"


async def test_slot_is_kept_for_a_stream_that_breaks(agent: AgentProcess) -> None:
    await agent.assigned()
    first = await agent.stream(holder="anna")
    assert (await first.reply())["ok"] is True
    busy = await agent.stream(holder="bert")
    assert (await busy.reply())["error"] == "Busy"
    assert await busy.ended() == b""
    first.close()
    await agent.reaches(lambda state: [c.connected for c in state.connections] == [False])
    back = await agent.stream(holder="anna", after=b"back\n")
    assert (await back.reply())["ok"] is True
    assert await back.line() == b"back\n"


async def test_holder_is_busy_while_it_streams_and_comes_back_when_it_has_gone(
    agent: AgentProcess,
) -> None:
    await agent.assigned()
    first = await agent.stream(holder="anna", after=b"old\n")
    assert (await first.reply())["ok"] is True
    assert await first.line() == b"old\n"
    second = await agent.stream(holder="anna")
    assert (await second.reply())["error"] == "Busy"
    first.close()
    await nobody_connected(agent)
    again = await agent.stream(holder="anna", after=b"new\n")
    assert (await again.reply())["ok"] is True
    assert await again.line() == b"new\n"
    assert len((await agent.state()).connections) == 1


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param(b"\n", "BadPreamble", id="empty"),
        pytest.param(b"GET / HTTP/1.1\r\n", "BadPreamble", id="http"),
        pytest.param(b"\x16\x03\x01\xff\xfe\n", "BadPreamble", id="binary"),
        pytest.param(b"[]\n", "BadPreamble", id="no-object"),
        pytest.param(b'{"x": ' + b"[" * 8000 + b"\n", "BadPreamble", id="deep"),
        pytest.param(b'{"token": 3}\n', "BadPreamble", id="no-text"),
        pytest.param(b'{"token": "a.b.c"}\n', "InvalidToken", id="no-token"),
        pytest.param(b"x" * 8192, "BadPreamble", id="oversize"),
        pytest.param(
            json.dumps({"token": connection_token()}).encode() + b"\n",
            "InvalidToken",
            id="token-of-another-port",
        ),
    ],
)
async def test_bad_preamble_is_answered_and_closed(
    agent: AgentProcess, line: bytes, error: str
) -> None:
    await agent.assigned()
    client = await agent.raw_stream()
    await client.send(line)
    assert (await client.reply())["error"] == error
    assert await client.ended() == b""
    assert (await agent.state()).phase is AgentPhase.READY


async def test_stream_before_the_assignment_is_told_to_wait(idle_agent: AgentProcess) -> None:
    client = await idle_agent.stream()
    assert (await client.reply())["error"] == "NotReady"


async def test_viewers_have_slots_of_their_own(agent: AgentProcess) -> None:
    await agent.assigned()
    replies = []
    for holder in ("anna", "bert", "carl"):
        client = await agent.stream(holder=holder, role="viewer")
        replies.append("ok" in await client.reply())
    assert replies == [True, True, False]
