"""The bounded wait for a media connection."""

import asyncio
from typing import Final

from podstream_workloads.client.errors import ClientError

_ICE_TIMEOUT_S: Final = 10.0


async def wait_connected(connected: asyncio.Event, *, over: asyncio.Event) -> None:
    """Wait for ICE and DTLS.

    Raises:
        ClientError: they are not up in time, or the connection is over before.
    """
    waits = {asyncio.create_task(connected.wait()), asyncio.create_task(over.wait())}
    try:
        await asyncio.wait(waits, timeout=_ICE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
    if not connected.is_set():
        raise ClientError(
            f"no media connection within {_ICE_TIMEOUT_S:.0f} s: the router's UDP address in "
            "its answer must be reachable from here (router.media.advertise)"
        )
