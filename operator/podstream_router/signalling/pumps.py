"""Passes messages, one JSON object per line, between two connections until both have ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from podstream_router.errors import Refusal
from podstream_router.lines import LineError, LineReader
from podstream_router.signalling.messages import Message

ANSWER_TIMEOUT_S: Final = 30.0
"""A client that got the offer must say something within this time."""
WRITE_TIMEOUT_S: Final = 10.0
CLOSING_S: Final = 5.0
"""After one side has ended the other gets this long to end too."""
EXPECTED: Final = (LineError, Refusal, OSError, TimeoutError)
"""Faults of a peer or of the network; anything else is a fault of this program."""

Rewrite = Callable[[Message], Message | None]
"""A message as it may pass; `None` drops it."""


async def pump_both(*pumps: asyncio.Task[None]) -> list[BaseException]:
    """Wait until both directions have ended; return what went wrong."""
    try:
        done, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if not any(task.exception() for task in done):
            # One side has ended in order: the other may still have a last word.
            await asyncio.wait(pending, timeout=CLOSING_S)
        return [fault for task in pumps if task.done() and (fault := task.exception())]
    finally:
        for task in pumps:
            await discard(task)


async def pump(
    lines: AsyncIterator[bytes],
    writer: asyncio.StreamWriter,
    *,
    rewrite: Rewrite,
    on_passed: Callable[[], None] = lambda: None,
) -> None:
    """Pass messages in one direction until the sender ends, then pass the end on.

    Raises:
        LineError: the sender does not keep the format.
        OSError: the receiver is gone.
        TimeoutError: the receiver does not read.
    """
    async for line in lines:
        passed = rewrite(_message_of(line))
        if passed is None:
            continue
        writer.write(msgspec.json.encode(passed, order="deterministic") + b"\n")
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await writer.drain()
        on_passed()
    if writer.can_write_eof():
        writer.write_eof()


def _message_of(line: bytes) -> Message:
    try:
        message = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # RecursionError: brackets within brackets, thousands deep.
        raise LineError("a line is no JSON object") from error
    if "type" not in message:
        raise LineError("a message has no type")
    return message


async def pod_lines(lines: LineReader) -> AsyncIterator[bytes]:
    """Lines of a pod."""
    while (line := await lines.read()) is not None:
        yield line


async def client_lines(
    early: asyncio.Task[bytes | None], lines: LineReader
) -> AsyncIterator[bytes]:
    """Lines of a client; the first has been waited for since the client came."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            line = await early
    except TimeoutError as error:
        raise LineError(f"no answer within {ANSWER_TIMEOUT_S:g} s") from error
    while line is not None:
        yield line
        line = await lines.read()


def has_left(early: asyncio.Task[bytes | None]) -> bool:
    """Whether a held client has closed its connection, or sends junk."""
    return early.done() and (early.exception() is not None or early.result() is None)


def is_junk(early: asyncio.Task[bytes | None]) -> bool:
    """Whether a client speaks before it is spoken to, and not this protocol."""
    line = early.result() if early.done() and early.exception() is None else None
    try:
        return line is not None and not _message_of(line)
    except LineError:
        return True


async def discard(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is over, whatever its outcome."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; a peer that does not read what is left is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSING_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
