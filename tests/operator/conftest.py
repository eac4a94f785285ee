from collections.abc import AsyncIterator

import pytest

from fakes.world import World, running_world


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    """A cluster whose operator the test starts itself."""
    async with running_world() as made:
        yield made
