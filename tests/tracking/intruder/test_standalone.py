"""Edge and cloud as processes of their own, without Kubernetes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import device, jpeg, room


@asynccontextmanager
async def served(part: str, port: int, **environment: str) -> AsyncIterator[str]:
    """A part as a process, once it is healthy."""
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "podstream_workloads.tracking.intruder", part, "--upload-page",
        *(["--detector", "Haar"] if part == "edge" else []),
        env={**os.environ, "UVICORN_PORT": str(port), **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession(url) as session, asyncio.timeout(60):
            while True:
                try:
                    async with session.get("/health") as answer:
                        assert await answer.json() == {"status": "healthy"}
                    break
                except aiohttp.ClientConnectionError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0


async def test_edge_and_cloud_from_the_environment_alone(
    gallery: Path, unused_tcp_port_factory: "object"
) -> None:
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]  # type: ignore[operator]
    async with (
        served("cloud", ports[0], GALLERY=str(gallery)) as cloud_url,
        served("edge", ports[1], CLOUD_URL=cloud_url) as edge_url,
        device(edge_url) as camera,
    ):
        for number, scene in enumerate(
            (room(), room(portrait(person(1))), room(portrait(person(20)))), start=1
        ):
            assert camera.count("alarm_event") == 0
            await camera.send(f"gate_frame{number}.jpg", jpeg(scene))
            await camera.until("frame_processed", number)
        await camera.until("alarm_event")
