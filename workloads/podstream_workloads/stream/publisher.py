"""Takes the bytes of one publisher's connection until it leaves."""

import asyncio
import socket
from collections.abc import Callable

from podstream_workloads.stream.frames import Frame, FrameBuffer


async def receive(
    sock: socket.socket,
    buffer: FrameBuffer,
    *,
    on_bytes: Callable[[int], None],
    on_frame: Callable[[Frame], None],
) -> None:
    """Cut what comes into frames until the stream's end.

    Args:
        sock: connected, non-blocking; stays open.
        buffer: holds the unfinished frame, also afterwards.
        on_bytes: told how many have come, after `on_frame`.
        on_frame: gets each whole frame; a view that is valid during the call.

    Raises:
        OSError: the connection was reset.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                count = buffer.receive(sock, on_frame=on_frame)
            except BlockingIOError:
                continue
            if not count:
                return
            on_bytes(count)
    finally:
        loop.remove_reader(sock)
