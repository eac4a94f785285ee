"""Puts the agent together and runs it to its end.

Shutdown, in order: connections end and workloads drain (at most 4 s), the record is written, a
completed session or a retired pod lingers, children end (at most 1 s), ports close. After SIGTERM
nothing lingers: all of it fits into the pod's grace of 10 s, which is longer by what a workload's
`flush` may take.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podstream_core import ports
from podstream_core.agentapi import AgentPhase, AgentState, Failure
from podstream_workloads.agent.agent import Agent, AgentParts
from podstream_workloads.agent.children import Child
from podstream_workloads.agent.connect_api import MAX_SDP_BYTES, ConnectApi
from podstream_workloads.agent.control_api import MAX_ASSIGN_BYTES, ControlApi
from podstream_workloads.agent.httpserver import HttpServer
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.processes import ProcessTable
from podstream_workloads.agent.record import TerminationLog
from podstream_workloads.agent.roster import Roster
from podstream_workloads.agent.settings import AgentSettings
from podstream_workloads.agent.stream_port import StreamPort
from podstream_workloads.agent.workload import MediaAddress

logger = logging.getLogger(__name__)

DRAIN_ORDER: Final = Failure(
    reason="Drained", message="the pod was told to stop before the session had ended"
)


@dataclass(frozen=True, slots=True)
class BoundPorts:
    """TCP ports that the agent really listens on."""

    control: int
    connect: int
    stream: int


OnStarted = Callable[[Agent, BoundPorts], None]


async def run_agent(
    settings: AgentSettings,
    *,
    registry: Mapping[str, str],
    stop: asyncio.Event,
    on_started: OnStarted | None = None,
    adopts_orphans: bool = False,
) -> AgentState:
    """Run the agent until its session has ended and lingered, or `stop` is set.

    Args:
        settings: what the agent is told from outside.
        registry: workload -> `module:Class`.
        stop: set to drain and end, as SIGTERM does.
        on_started: told the bound ports.
        adopts_orphans: reap processes that the agent did not start; for process 1.

    Raises:
        OSError: a port cannot be bound or a child cannot be started.
    """
    table = ProcessTable(adopts_orphans=adopts_orphans)
    metrics = AgentMetrics()
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="agent-", dir=settings.scratch_dir))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        table.open()
        stack.callback(table.close)
        group = await stack.enter_async_context(asyncio.TaskGroup())

        def make_child(name: str) -> Child:
            return Child(
                name,
                target=registry[name],
                table=table,
                folder=folder,
                log_level=settings.log_level,
                log_format=settings.log_format,
            )

        agent = Agent(
            AgentParts(
                settings=settings,
                registry=registry,
                media=MediaAddress(
                    pod_uid=settings.pod_uid,
                    host=settings.pod_ip,
                    first_port=ports.MEDIA_PORT_FIRST,
                    port_count=ports.MEDIA_PORT_COUNT,
                ),
                roster=Roster(make_child),
                record=TerminationLog(settings.termination_log),
                metrics=metrics,
                folder=folder,
                group=group,
            )
        )
        # Children first: they load their workloads while the ports are being opened.
        agent.start()
        stack.push_async_callback(agent.stop_children)
        bound = await _open_ports(agent, settings, metrics=metrics, group=group, stack=stack)
        logger.info(
            "agent listens",
            extra={"control": bound.control, "connect": bound.connect, "stream": bound.stream},
        )
        if on_started is not None:
            on_started(agent, bound)
        try:
            await _wait_for_end(agent, stop)
        except asyncio.CancelledError:
            # A task of the group has failed: the traceback follows when the group is left.
            agent.record_fault()
            raise
        return agent.state()


async def _open_ports(
    agent: Agent,
    settings: AgentSettings,
    *,
    metrics: AgentMetrics,
    group: asyncio.TaskGroup,
    stack: AsyncExitStack,
) -> BoundPorts:
    timeout_s = settings.request_timeout_s

    def make_server(name: str, max_body_bytes: int) -> HttpServer:
        server = HttpServer(
            name,
            max_body_bytes=max_body_bytes,
            max_connections=settings.max_connections,
            request_timeout_s=timeout_s,
            rejected=metrics.rejected_peers,
        )
        stack.push_async_callback(server.close)
        return server

    connect = make_server("connect", MAX_SDP_BYTES)
    ConnectApi(agent, timeout_s=timeout_s).add_to(connect)
    stream = StreamPort(
        agent,
        group=group,
        max_connections=settings.max_connections,
        timeout_s=timeout_s,
        rejected=metrics.rejected_peers,
    )
    stack.push_async_callback(stream.close)
    control = make_server("control", MAX_ASSIGN_BYTES)
    ControlApi(agent, metrics=metrics, group=group, timeout_s=timeout_s).add_to(control)
    host = settings.listen_host
    connect_port = await connect.open(host=host, port=settings.connect_port)
    stream_port = stream.open(host=host, port=settings.stream_port)
    # Last: who can reach this one may rely on the others.
    control_port = await control.open(host=host, port=settings.control_port)
    return BoundPorts(control_port, connect_port, stream_port)


async def _wait_for_end(agent: Agent, stop: asyncio.Event) -> None:
    """Return when nothing is left to wait for: ended and lingered, or told to stop."""
    stopped = asyncio.ensure_future(stop.wait())
    ended = asyncio.ensure_future(agent.ended.wait())
    try:
        await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await agent.drain(DRAIN_ORDER)
        linger_s = agent.linger_s
        if linger_s and not stop.is_set():
            logger.info("ended; ports stay open", extra={"seconds": linger_s})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(linger_s):
                    await stop.wait()
    finally:
        stopped.cancel()
        ended.cancel()


def run_process(settings: AgentSettings, *, registry: Mapping[str, str]) -> int:
    """Run the agent as this process, ended by SIGTERM or SIGINT; return its exit status."""

    async def run() -> AgentState:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        return await run_agent(
            settings, registry=registry, stop=stop, adopts_orphans=os.getpid() == 1
        )

    state = asyncio.run(run())
    return 1 if state.phase is AgentPhase.FAILED else 0
