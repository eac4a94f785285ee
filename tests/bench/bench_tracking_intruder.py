"""The edge's bounded queues against one unbounded queue, and what a look at a face costs.

    python tests/bench/bench_tracking_intruder.py [--seconds 6] [--json]

One camera floods at ten times what the detector can do, another sends one frame at a time. The
baseline is the way of the existing system, measured in the same run with the same detector: one
queue without bound that a single worker empties. Shown is the calm camera's median time from
sending to `frame_processed`; the face lines are CPU milliseconds of one thread on drawn faces,
against decoding the same picture.
"""

import argparse
import asyncio
import json
import statistics
import time
from contextlib import AsyncExitStack
from typing import Any

import cv2
import socketio
from aiohttp import web

from podstream_workloads.tracking.intruder.pictures import PictureLimits, decode
from podstream_workloads.tracking.intruder.recognisers.local.descriptor import describe
from podstream_workloads.tracking.intruder.recognisers.local.finder import FaceFinder
from tracking.intruder.rendered_faces import alter, person, portrait
from tracking.intruder.site_of import NotTheWall, device, edge_of, jpeg, room, serving

LOOK_S = 0.02
"""Seconds the detector takes; it gives the processor away meanwhile."""


def one_queue() -> web.Application:
    """An edge with one unbounded queue and one worker, as existing ones are built."""
    sio = socketio.AsyncServer(async_mode="aiohttp", max_http_buffer_size=16 * 1024 * 1024)
    app = web.Application()
    sio.attach(app)
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def frame_event(sid: str, data: Any) -> None:
        await queue.put((sid, data))

    async def work() -> None:
        while True:
            sid, data = await queue.get()
            await asyncio.to_thread(decode, data["data"], limits=PictureLimits())
            await asyncio.sleep(LOOK_S)
            await sio.emit("frame_processed", {"frame_name": data["frame_name"]}, to=sid)

    async def start(_: web.Application) -> Any:
        task = asyncio.create_task(work())
        yield
        task.cancel()

    sio.on("frame_event", frame_event)
    app.cleanup_ctx.append(start)
    return app


async def calm_ms(url: str, seconds: float) -> float:
    """Median milliseconds of the calm camera's frames while another floods."""
    empty = jpeg(room())
    async with device(url) as flood, device(url) as calm:

        async def pour() -> None:
            number = 0
            while True:
                await flood.send(f"flood{number}.jpg", empty)
                number += 1
                await asyncio.sleep(LOOK_S / 10)

        pouring = asyncio.create_task(pour())
        taken: list[float] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.monotonic()
            await calm.send(f"calm{len(taken)}.jpg", empty)
            await calm.until("frame_processed", len(taken) + 1, timeout_s=300)
            taken.append((time.monotonic() - begun) * 1e3)
        pouring.cancel()
        return statistics.median(taken)


async def queues(seconds: float) -> tuple[float, float]:
    """The calm camera's milliseconds: unbounded queue, podstream's edge."""
    async with AsyncExitStack() as stack:
        baseline = await calm_ms(await stack.enter_async_context(serving(one_queue())), seconds)
    async with AsyncExitStack() as stack:
        detector = NotTheWall(before=lambda: time.sleep(LOOK_S))
        edge = edge_of("http://127.0.0.1:9", detector=detector)
        _, url = await stack.enter_async_context(edge)
        return baseline, await calm_ms(url, seconds)


def face_ms() -> dict[str, float]:
    """CPU milliseconds of decoding a portrait, finding its face and describing it."""
    cv2.setNumThreads(1)
    finder = FaceFinder()
    files = [jpeg(alter(portrait(person(seed)), scale=1.5)) for seed in range(8)]
    spent = dict.fromkeys(("decode (baseline)", "find and set upright", "describe"), 0.0)
    for data in files:
        begun = time.thread_time()
        picture = decode(data, limits=PictureLimits())
        decoded = time.thread_time()
        face = finder.largest(picture)
        found = time.thread_time()
        if face is not None:
            describe(face.gray)
        described = time.thread_time()
        for name, took in zip(
            spent, (decoded - begun, found - decoded, described - found), strict=True
        ):
            spent[name] += took * 1e3 / len(files)
    return spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    faces = face_ms()
    unbounded, bounded = asyncio.run(queues(arguments.seconds))
    ratio = bounded / unbounded
    if arguments.json:
        figures = {name: round(ms, 2) for name, ms in faces.items()}
        print(json.dumps({"calm camera beside a flood": round(ratio, 3), **figures}))
        return
    print(f"calm camera beside a flood, one unbounded queue (baseline) {unbounded:9.0f} ms")
    print(f"calm camera beside a flood, podstream's edge               {bounded:9.0f} ms")
    print(f"  ratio {ratio:.3f}")
    for name, ms in faces.items():
        print(f"face: {name:22} {ms:8.1f} ms")


if __name__ == "__main__":
    main()
