"""A WHEP client of stock aiortc, without anything of podstream: finds the ball and says where.

What happens to it is printed line by line: a word, the Unix time, and more for some.

    answered TIME SESSION UFRAG   the answer: session of a pool's connection or `-`, ICE user name
    refused TIME STATUS           the server said no; the client asks again with --patient
    connected TIME                the answer was taken
    checked TIME                  a consent check was sent
    frame TIME                    a frame was decoded
    ended TIME                    the server ended the session
"""

import argparse
import asyncio
import logging
import os
import re
import sys
import time
import urllib.error
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


def say(word: str, *more: str) -> None:
    print(word, time.time(), *more, flush=True)


class SayChecked(logging.Handler):
    """Reads aioice's own log: `> <address> Message(...REQUEST...)` is a check that was sent."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if " > " in text and "REQUEST" in text:
            say("checked")


def post(url: str, sdp: str) -> tuple[str, str]:
    """Send the offer; the answer, and the session that the server names."""
    headers = {"Content-Type": "application/sdp"}
    token = os.environ.get("PODSTREAM_CLIENT_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=sdp.encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: str = reply.read().decode()
        return answer, reply.headers.get("Podstream-Session", "-")


def exchange(url: str, sdp: str, *, patience_s: float) -> tuple[str, str]:
    """Post until there is an answer, for so long."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return post(url, sdp)
        except urllib.error.URLError as error:
            say("refused", str(getattr(error, "code", 0)))
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


async def play(url: str, *, duration_s: float, patience_s: float) -> int:
    """Play to the end; how many frames there were."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    channel = peer.createDataChannel("RTCchannel", ordered=False, maxRetransmits=0)
    count = 0
    ended = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def watch(track: Any) -> None:
        nonlocal count
        try:
            while True:
                frame = await track.recv()
                count += 1
                say("frame")
                x, y = find(frame.to_ndarray(format="bgr24"))
                if channel.readyState == "open":
                    channel.send(f"{x}\t{y}\t{frame.pts}")
        except MediaStreamError:
            say("ended")
            ended.set()

    peer.on("track", lambda track: tasks.append(asyncio.create_task(watch(track))))
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    answer, session = await asyncio.to_thread(exchange, url, offer, patience_s=patience_s)
    ufrag = re.search(r"(?m)^a=ice-ufrag:(\S+)", answer)
    say("answered", session, ufrag[1] if ufrag else "-")
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    logger = logging.getLogger("aioice.ice")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(SayChecked())
    say("connected")
    try:
        await asyncio.wait_for(ended.wait(), duration_s)
    except TimeoutError:
        print("the server did not end the session", file=sys.stderr)
    await peer.close()
    return count


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--duration", type=float, default=90)
    parser.add_argument("--patience", type=float, default=0, help="seconds to ask again")
    arguments = parser.parse_args()
    play_it = play(arguments.url, duration_s=arguments.duration, patience_s=arguments.patience)
    return 0 if asyncio.run(play_it) else 1


if __name__ == "__main__":
    sys.exit(main())
