import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import psutil

from agent.harness import AgentProcess, StreamClient, eventually, nobody_connected
from podstream_core.agentapi import AgentPhase

StartAgent = Callable[..., Awaitable[AgentProcess]]

MAX_CONNECTIONS = 20
ACCEPTED_AT_ONCE = 100
"""The event loop accepts so many connections in one turn before any of them can be closed."""
JUNK = [b"", b"\x00" * 5000, b"GET /st", b"POST /whep HTTP/1.1\r\nContent-Length: 60000\r\n\r\nv=0"]


async def dial(agent: AgentProcess, port: str, data: bytes) -> StreamClient:
    client = await agent.dial(port)
    with contextlib.suppress(ConnectionError):  # the agent may have closed it already
        await client.send(data)
    return client


async def test_junk_fills_neither_descriptors_nor_memory(start_agent: StartAgent) -> None:
    agent = await start_agent(
        PODSTREAM_MAX_CONNECTIONS=str(MAX_CONNECTIONS), PODSTREAM_REQUEST_TIMEOUT_SECONDS="0.5"
    )
    await agent.assigned()
    process = psutil.Process(agent.popen.pid)
    fds, memory = process.num_fds(), process.memory_info().rss
    clients = []
    for index in range(600):
        port = list(agent.ports)[index % 3]
        clients.append(await dial(agent, port, JUNK[index % len(JUNK)]))
        assert process.num_fds() <= fds + 3 * MAX_CONNECTIONS + 2 * ACCEPTED_AT_ONCE + 10
    # Every one is closed by the agent, although none of them closes.
    await asyncio.gather(*(client.ended() for client in clients))
    assert await eventually(lambda: process.num_fds() <= fds + 5)
    assert process.memory_info().rss < memory + 20 * 2**20
    assert (await agent.state()).phase is AgentPhase.READY
    assert (await agent.whep()).status == 201
    assert len(agent.log) < 10_000


async def test_slow_peers_are_timed_out_and_counted(start_agent: StartAgent) -> None:
    agent = await start_agent(PODSTREAM_REQUEST_TIMEOUT_SECONDS="0.3")
    await agent.assigned()
    slow_head = await dial(agent, "control", b"GET /state HTTP/1.1\r\nHost: a\r\n")
    slow_line = await dial(agent, "stream", b'{"token": "')
    slow_body = await dial(
        agent,
        "control",
        b"POST /assign HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    )
    assert await slow_head.ended() == b""
    assert b"TooSlow" in await slow_line.ended()
    assert b"TooSlow" in await slow_body.ended()
    text = (await agent.call("GET", "/metrics")).text
    assert 'podstream_agent_rejected_peers_total{port="control",reason="too slow"} 1.0' in text
    assert 'podstream_agent_rejected_peers_total{port="stream",reason="too slow"} 1.0' in text


async def test_many_good_calls_leave_nothing_behind(agent: AgentProcess) -> None:
    await agent.assigned()
    process = psutil.Process(agent.popen.pid)
    await agent.state()
    fds = process.num_fds()
    for _ in range(30):
        client = await agent.stream(after=b"line\n")
        assert (await client.reply())["ok"] is True
        assert await client.line() == b"line\n"
        client.close()
        await client.writer.wait_closed()
        await nobody_connected(agent)
    assert await eventually(lambda: process.num_fds() <= fds + 2)
