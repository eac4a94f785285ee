from collections.abc import Iterator

import pytest
from hypothesis import settings

from imageops.server import Running, running

# Examples are as fast as the machine lets them be; on a shared one that says nothing.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


@pytest.fixture(scope="session")
def service() -> Iterator[Running]:
    """One server for all tests that leave it as they found it."""
    with running() as found:
        yield found
