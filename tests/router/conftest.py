import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import uvloop

from router.harness import Harness, running_router


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The router runs on uvloop, so its tests do."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def router() -> AsyncIterator[Harness]:
    """A running router with default limits."""
    async with running_router() as harness:
        yield harness


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
