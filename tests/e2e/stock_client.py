"""The original ball tracker's client, as its users run it: aiortc, TcpSocketSignaling, OpenCV.

A program of its own that knows nothing of podstream, run in environments with aiortc 1.5.0 and with
the pinned version. Only host and port are given. It follows the original's behaviour: dials until
the server is there, answers the server's offer, finds the ball by HoughCircles in a process of its
own and sends `x<TAB>y<TAB>pts` over the channel that the server made.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import sys
from typing import Any

import cv2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.signaling import BYE, TcpSocketSignaling
from aiortc.mediastreams import MediaStreamError


def detect(frames: Any, estimates: Any) -> None:
    x = y = -1
    while True:
        item = frames.get()
        if item is None:
            return
        pts, image = item
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        circles = cv2.HoughCircles(gray, cv2.HOUGH_GRADIENT, 1.5, 100, param2=20, minRadius=10)
        if circles is not None:
            x, y = (int(value) for value in circles[0][0][:2])
        estimates.put((x, y, pts))


async def play(host: str, port: int, wanted: int) -> int:
    frames: Any = multiprocessing.Queue()
    estimates: Any = multiprocessing.Queue()
    worker = multiprocessing.Process(target=detect, args=(frames, estimates), daemon=True)
    worker.start()
    signaling = TcpSocketSignaling(host, port)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sent = 0
    tasks: list[asyncio.Future[None]] = []
    ended = asyncio.Event()

    @peer.on("datachannel")
    def on_channel(channel: Any) -> None:
        print(f"channel connected {channel.label}", flush=True)
        channel.send("hi")

        async def pump() -> None:
            nonlocal sent
            loop = asyncio.get_running_loop()
            while sent < wanted:
                x, y, pts = await loop.run_in_executor(None, estimates.get)
                channel.send(f"{x}\t{y}\t{pts}")
                sent += 1
            await asyncio.sleep(1)
            ended.set()

        tasks.append(asyncio.ensure_future(pump()))

    @peer.on("track")
    def on_track(track: Any) -> None:
        print("track connected", flush=True)

        async def consume() -> None:
            with contextlib.suppress(MediaStreamError):
                while not ended.is_set():
                    frame = await track.recv()
                    if estimates.qsize() + frames.qsize() < 2:
                        frames.put((frame.pts, frame.to_ndarray(format="bgr24")))
            ended.set()

        tasks.append(asyncio.ensure_future(consume()))

    @peer.on("connectionstatechange")
    def on_state() -> None:
        print(f"connection state is {peer.connectionState}", flush=True)
        if peer.connectionState == "failed":
            ended.set()

    offer: Any = None
    while offer is None:
        try:
            offer = await signaling.receive()
            break
        except OSError:
            await asyncio.sleep(0.2)
    if not isinstance(offer, RTCSessionDescription):
        print("no offer", flush=True)
        return 0
    print("received offer", flush=True)
    await peer.setRemoteDescription(offer)
    await peer.setLocalDescription(await peer.createAnswer())
    await signaling.send(peer.localDescription)
    await asyncio.wait_for(ended.wait(), 60)
    with contextlib.suppress(OSError):
        await signaling.send(BYE)
    await signaling.close()
    await peer.close()
    frames.put(None)
    return sent


def main() -> int:
    parser = argparse.ArgumentParser()
    # As in the original, where no address is given: the Service's variables that Kubernetes sets.
    service = os.environ.get("SERVER_SERVICE_NAME", "")
    parser.add_argument("host", nargs="?", default=os.environ.get(f"{service}_SERVICE_HOST"))
    port = os.environ.get(f"{service}_SERVICE_PORT", "0")
    parser.add_argument("port", nargs="?", type=int, default=int(port))
    parser.add_argument("--estimates", type=int, default=60)
    arguments = parser.parse_args()
    sent = asyncio.run(play(arguments.host, arguments.port, arguments.estimates))
    print(f"sent {sent} estimates", flush=True)
    return 0 if sent >= arguments.estimates else 1


if __name__ == "__main__":
    sys.exit(main())
