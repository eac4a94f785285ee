import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from agent.harness import AgentProcess

StartAgent = Callable[..., Awaitable[AgentProcess]]


@pytest.fixture
async def start_agent(tmp_path: Path) -> AsyncIterator[StartAgent]:
    """Starts agents with settings of their own; ends them all."""
    started: list[AgentProcess] = []

    async def start(**env: str) -> AgentProcess:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        process = AgentProcess(folder, env=env)
        started.append(process)
        await process.start()
        return process

    yield start
    for process in started:
        await process.close()
        if process.popen.returncode not in (0, 1):
            sys.stdout.write(process.log)


@pytest.fixture
async def agent(start_agent: StartAgent) -> AgentProcess:
    """An agent of the test's own."""
    return await start_agent()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_agent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AgentProcess]:
    """One agent for all tests of a module that leave it idle."""
    process = AgentProcess(tmp_path_factory.mktemp("agent"))
    await process.start()
    yield process
    await process.close()


@pytest.fixture
async def idle_agent(shared_agent: AgentProcess) -> AsyncIterator[AgentProcess]:
    """The shared agent with an HTTP client on the test's own loop."""
    async with shared_agent.on_this_loop() as process:
        yield process
