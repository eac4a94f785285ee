"""`python -m podstream_workloads.agent.child <launch>`: one workload, started by the agent.

`<launch>` is the JSON of `wire.Launch`. Standard output and error are the pod's log.
"""

import asyncio
import concurrent.futures
import ctypes
import logging
import os
import signal
import socket
import sys
from typing import Final, cast

import msgspec
from aiohttp import web

from podstream_core import names
from podstream_core.logs import LogFormat, set_process_log_fields, setup_logging
from podstream_workloads.agent.child.server import ChildServer
from podstream_workloads.agent.registry import load_workload_class
from podstream_workloads.agent.wire import Launch
from podstream_workloads.agent.workload import Workload

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_EXIT_ORPHANED: Final = 71


def main() -> int:
    """Serve the workload until the agent says stop or is gone."""
    launch = msgspec.json.decode(sys.argv[1], type=Launch)
    die_with_agent(launch.agent_pid)
    # A terminal's Ctrl-C is for the agent, which then ends its children in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup_logging(
        level=launch.log_level,
        fmt=cast(LogFormat, launch.log_format),
        component=f"workload-{launch.workload}",
    )
    set_process_log_fields(pod=os.environ.get(names.ENV_POD_NAME))
    workload_class = load_workload_class(launch.target)
    asyncio.run(_serve(launch, workload_class()))
    return 0


def die_with_agent(agent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, also when that is killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if os.getppid() != agent_pid:  # it ended before the call above
        sys.exit(_EXIT_ORPHANED)


async def _serve(launch: Launch, workload: Workload) -> None:
    loop = asyncio.get_running_loop()
    cores = len(os.sched_getaffinity(0))
    loop.set_default_executor(
        concurrent.futures.ThreadPoolExecutor(cores, thread_name_prefix=launch.workload)
    )
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    channel = socket.socket(fileno=launch.stream_fd)
    channel.setblocking(False)
    async with asyncio.TaskGroup() as group:
        server = ChildServer(workload, group=group)
        runner = web.AppRunner(server.build_app(), access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.SockSite(runner, socket.socket(fileno=launch.http_fd)).start()
        loop.add_reader(channel, server.receive_socket, channel)
        tasks = [
            group.create_task(server.send_results(), name="results"),
            group.create_task(server.agent_gone.wait(), name="agent"),
            group.create_task(stop.wait(), name="stop"),
        ]
        logger.debug("workload loaded")
        await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        loop.remove_reader(channel)
        channel.close()
        await runner.cleanup()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    sys.exit(main())
