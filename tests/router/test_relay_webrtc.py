"""Real WebRTC through the whole router: HTTP, rewritten candidates, one UDP port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from router.harness import Harness, running_router
from router.webrtc_pods import CONFIGURATION, WebRtcPod, install

LEVELS = (40, 90, 140, 190)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def router_with_media() -> AsyncIterator[Harness]:
    port = free_udp_port()
    # The second address leads nowhere, like the external one for a client inside the cluster.
    advertise = (f"127.0.0.1:{port}", "127.0.0.1:9")
    async with running_router(media_port=port, media_advertise=advertise) as router:
        yield router


async def play(router: Harness, http: aiohttp.ClientSession, name: str) -> tuple[float, str]:
    """Play a session; return the brightness of its picture and the answer to a message."""
    session = router.router.routes.session(("lab", name))  # type: ignore[arg-type]
    assert session is not None
    loop = asyncio.get_running_loop()
    picture: asyncio.Future[float] = loop.create_future()
    echo: asyncio.Future[str] = loop.create_future()
    peer = RTCPeerConnection(CONFIGURATION)
    peer.addTransceiver("video", direction="recvonly")
    channel = peer.createDataChannel("RTCchannel")
    channel.on("open", lambda: channel.send("hello"))
    channel.on("message", echo.set_result)

    async def watch(track: Any) -> None:
        frame = await track.recv()
        picture.set_result(float(np.mean(frame.to_ndarray(format="gray"))))

    tasks: list[asyncio.Task[None]] = []
    peer.on("track", lambda track: tasks.append(asyncio.create_task(watch(track))))
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp", **router.bearer(session)}
    async with http.post(
        router.url(f"/s/lab/{name}/whep"), data=peer.localDescription.sdp, headers=headers
    ) as response:
        assert response.status == 201
        answer = await response.text()
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    try:
        async with asyncio.timeout(20):
            return await picture, await echo
    finally:
        await peer.close()
        await asyncio.gather(*tasks)


@pytest.mark.media
async def test_four_sessions_share_one_port_and_each_client_sees_its_own_pod(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    install(monkeypatch)
    async with router_with_media() as router, AsyncExitStack() as stack:
        pods: dict[str, WebRtcPod] = {}
        for level in LEVELS:
            session, agent, pod = await router.add(f"ball-{level}")
            pods[session.key.name] = WebRtcPod(pod.uid, pod.ip, level)
            stack.push_async_callback(pods[session.key.name].close)
            agent.answerer = pods[session.key.name].answer

        seen = await asyncio.gather(*(play(router, http, name) for name in pods))

        for (brightness, echo), media in zip(seen, pods.values(), strict=True):
            assert abs(brightness - media.level) < 15
            assert echo == f"{media.level} hello"
            assert media.heard == ["hello"]
        relay = router.router.relay
        assert relay.confirmed_total >= len(LEVELS)
        assert relay.packets_to_clients > 0
        assert not {"no_flow", "unknown_ufrag", "unknown_kind"} & set(relay.dropped)
