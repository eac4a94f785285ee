"""The workload as its agent drives it: raw TCP connections in, reports and figures out."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from fakes.context import Context
from imageops.server import Images, collect, noise, raw, requests
from imageops.test_images import SLOW, TURN
from podstream_core.agentapi import Protocol
from podstream_core.api import ImageOps, ImageOpsResults, SessionSpec
from podstream_workloads.agent import (
    Connection,
    SpecRejected,
    UnsupportedOffer,
)
from podstream_workloads.imageops.workload import ImageOpsWorkload


@asynccontextmanager
async def configured(folder: Path) -> AsyncIterator[tuple[ImageOpsWorkload, Context, int]]:
    """A workload with its session, and a port whose connections are handed to it."""
    workload, context = ImageOpsWorkload(), Context(folder)
    await workload.configure(SessionSpec(image_ops=ImageOps(memory_mib=256)), context)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    accepting = asyncio.create_task(accept(listener, workload))
    try:
        yield workload, context, int(listener.getsockname()[1])
    finally:
        accepting.cancel()
        with suppress(asyncio.CancelledError):
            await accepting
        listener.close()
        await workload.drain()


async def accept(listener: socket.socket, workload: ImageOpsWorkload) -> None:
    number = 0
    while True:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        sock.setblocking(False)
        number += 1
        connection = Connection(id=f"c{number}", role="caller", protocol=Protocol.GRPC)
        await workload.connect_stream(connection, sock=sock)


def work(channel: grpc.Channel, picture: Any, operations: Any = (TURN,), **options: Any) -> Any:
    return collect(
        Images(channel).process(
            requests(picture.tobytes(), input=raw(picture), operations=operations), **options
        )
    )


async def test_a_caller_comes_works_leaves_and_comes_again(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, context, port):
        assert context.reports == ["ready"]
        assert not workload.is_finite
        picture = noise(1000, 900)
        for number in (1, 2):
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                outcome = await asyncio.to_thread(work, channel, picture)
                assert outcome.result.size == picture.nbytes
                await context.reported(f"established c{number}")
            await context.reported(f"lost c{number}")
        await context.reported("first frame")
        await context.reported("results")
        figures = (await workload.results()).figures
        assert isinstance(figures, ImageOpsResults)
        assert (figures.calls, figures.operations.turn) == (2, 2)
        assert figures.bytes_in == figures.bytes_out == 2 * picture.nbytes
        assert figures.pixels == 2 * 900_000
        assert figures.latency_ms is not None
        assert 0 < figures.latency_ms.p50 <= figures.latency_ms.p99


async def test_refusals_are_counted(tmp_path: Path) -> None:
    async with configured(tmp_path) as (workload, _, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            mean: Any = channel.unary_unary("/NLImageService/MeanFilter")
            with pytest.raises(grpc.RpcError):
                await asyncio.to_thread(mean, b"")
        figures = (await workload.results()).figures
        assert isinstance(figures, ImageOpsResults)
        assert (figures.calls, figures.rejected.invalid) == (0, 1)
        assert figures.latency_ms is None


async def test_disconnect_ends_the_connection_and_its_calls(tmp_path: Path) -> None:
    picture = noise(2000, 2000)
    async with configured(tmp_path) as (workload, context, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = Images(channel).process(
                requests(picture.tobytes(), input=raw(picture), operations=SLOW, progress=True)
            )
            # An answer shows that the call has come: before, gRPC repeats it on a new connection.
            await asyncio.to_thread(next, call)
            await context.reported("established c1")
            await workload.disconnect("c1")
            with pytest.raises(grpc.RpcError) as caught:
                await asyncio.to_thread(list, call)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await workload.disconnect("unknown")


async def test_a_caller_that_says_nothing_is_not_established(tmp_path: Path) -> None:
    async with configured(tmp_path) as (_, context, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        await context.reported("lost c1")
        assert "established c1" not in context.reports


async def test_drain_leaves_no_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    async with configured(tmp_path) as (workload, _, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.to_thread(work, channel, noise(10, 10))
            assert set(psutil.Process().children(recursive=True)) > before
            await workload.drain()
            assert set(psutil.Process().children(recursive=True)) <= before
            figures = (await workload.results()).figures
            assert isinstance(figures, ImageOpsResults)
            assert figures.calls == 1


async def test_other_protocols_and_specs_are_refused(tmp_path: Path) -> None:
    workload = ImageOpsWorkload()
    with pytest.raises(SpecRejected):
        await workload.configure(SessionSpec(), Context(tmp_path))
    ours, theirs = socket.socketpair()
    connection = Connection(id="c", role="caller", protocol=Protocol.SIGNALLING)
    with pytest.raises(UnsupportedOffer):
        await workload.connect_stream(connection, sock=ours)
    assert ours.fileno() == -1
    theirs.close()
