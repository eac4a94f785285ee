"""A WHEP client of stock aiortc, without anything of podstream: finds the ball and says where.

Says `checked` on standard error whenever it has sent a consent check. Waits for the server to end
the session, then prints the Unix times of all frames as JSON.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import time
import urllib.request
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError


def find(image: Any) -> tuple[int, int]:
    """Centre of what is much more green than anything else."""
    blue, green, red = (image[:, :, index].astype(np.int16) for index in range(3))
    rows, columns = np.nonzero(green - np.maximum(blue, red) > 80)
    return (int(columns.mean()), int(rows.mean())) if len(rows) else (-1, -1)


class SayChecked(logging.Handler):
    """Reads aioice's own log: `> <address> Message(...REQUEST...)` is a check that was sent."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if " > " in text and "REQUEST" in text:
            print("checked", file=sys.stderr, flush=True)


def post(url: str, sdp: str) -> str:
    token = os.environ["PODSTREAM_CLIENT_TOKEN"]
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, data=sdp.encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: str = reply.read().decode()
        return answer


async def play(url: str, *, duration_s: float) -> list[float]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    channel = peer.createDataChannel("RTCchannel", ordered=False, maxRetransmits=0)
    frames: list[float] = []
    ended = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def watch(track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                frames.append(time.time())
                x, y = find(frame.to_ndarray(format="bgr24"))
                if channel.readyState == "open":
                    channel.send(f"{x}\t{y}\t{frame.pts}")
        except MediaStreamError:
            ended.set()

    peer.on("track", lambda track: tasks.append(asyncio.create_task(watch(track))))
    await peer.setLocalDescription(await peer.createOffer())
    answer = await asyncio.to_thread(post, url, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    logger = logging.getLogger("aioice.ice")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(SayChecked())
    print("connected", file=sys.stderr, flush=True)
    try:
        await asyncio.wait_for(ended.wait(), duration_s)
    except TimeoutError:
        print("the server did not end the session", file=sys.stderr)
    await peer.close()
    return frames


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--duration", type=float, default=90)
    arguments = parser.parse_args()
    frames = asyncio.run(play(arguments.url, duration_s=arguments.duration))
    print(json.dumps({"frames": frames}))
    return 0 if frames else 1


if __name__ == "__main__":
    sys.exit(main())
