"""Passes WebSocket messages between a client and its pod, pings and closing codes included.

Each direction reads one message when the one before has been taken, so a side that does not read
holds the other back by TCP's own windows, and at most one message lies here.
"""

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import WSMessage, WSMsgType, web

MAX_MESSAGE_BYTES: Final = 10 * 1024 * 1024
"""As the original orchestrator takes; a larger one ends the connection with 1009."""
GOING_AWAY: Final = 1001
CLOSING_S: Final = 2.0
"""For a side to take the last messages and to answer the closing one."""
_UNSENDABLE: Final = frozenset({1005, 1006, 1015})
"""Closing codes that stand for there being none (RFC 6455, 7.4.1)."""
_NORMAL: Final = 1000

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def relay(client: web.WebSocketResponse, pod: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until a side closes, and close the other side likewise."""
    there = asyncio.create_task(_pass(client, pod), name="websocket:there")
    back = asyncio.create_task(_pass(pod, client), name="websocket:back")
    try:
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        # Also where this was cancelled: a client's going cancels its request.
        await asyncio.gather(close(pod, code=client.close_code), close(client, code=pod.close_code))


async def _pass(source: Socket, target: Socket) -> None:
    with suppress(ConnectionError, RuntimeError):  # the target has closed, or is closing
        while await _pass_message(await source.receive(), target):
            pass


async def _pass_message(message: WSMessage, target: Socket) -> bool:
    """Send what has come; whether more may come."""
    match message.type:
        case WSMsgType.TEXT:
            await target.send_str(message.data)
        case WSMsgType.BINARY:
            await target.send_bytes(message.data)
        case WSMsgType.PING:
            await target.ping(message.data)
        case WSMsgType.PONG:
            await target.pong(message.data)
        case _:
            return False
    return True


async def close(socket: Socket, *, code: int | None) -> None:
    """Close a side that is open, and do not wait for long: it may not read any more.

    Args:
        socket: the side.
        code: what the other side has said; `None` where it has said nothing.
    """
    if not socket.closed:
        sendable = code if code is not None and code not in _UNSENDABLE else _NORMAL
        with suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await socket.close(code=sendable)
