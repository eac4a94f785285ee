"""Plain HTTP against the router, with the standard library: what any client could send."""

import asyncio
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message

from aiortc import RTCConfiguration, RTCPeerConnection


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    text: str


def request(
    url: str, *, method: str = "GET", body: bytes | None = None, headers: dict[str, str]
) -> Answer:
    """One request; refusals are answers, not exceptions."""
    asked = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=90) as reply:
            return Answer(reply.status, reply.headers, reply.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


def offer_sdp() -> str:
    """A WHEP offer of a peer that never connects."""

    async def make() -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            peer.addTransceiver("video", direction="recvonly")
            peer.createDataChannel("RTCchannel")
            await peer.setLocalDescription(await peer.createOffer())
            return peer.localDescription.sdp
        finally:
            await peer.close()

    return asyncio.run(make())


def post_offer(
    url: str,
    *,
    token: str | None = None,
    sdp: str | None = None,
    content_type: str = "application/sdp",
) -> Answer:
    """POST an offer to a WHEP URL."""
    headers = {"Content-Type": content_type}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    text = offer_sdp() if sdp is None else sdp
    return request(url, method="POST", body=text.encode(), headers=headers)
