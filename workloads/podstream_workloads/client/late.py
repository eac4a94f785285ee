"""Joins a stream that has been running for a while (a test aid).

The connection comes up at once: ICE, DTLS, data channel and heartbeat. Only the video is declared
inactive in the server's description, so no receiver exists here and every RTP packet is thrown away
before its timestamp is read, while the server sends as to any client. Joining sets the description
as the server gave it, in an exchange the server never sees; the stream then begins for this client
with whatever packet comes next.
"""

import re

from aiortc import RTCPeerConnection, RTCSessionDescription

_DIRECTION = re.compile(r"^a=(sendonly|sendrecv|inactive)\r?$", re.MULTILINE)


def hold_video(sdp: str) -> str:
    """A server's description with its video inactive."""
    return _set_video_direction(sdp, "inactive")


async def release_video(peer: RTCPeerConnection) -> None:
    """Take the video in from now on."""
    answer = peer.remoteDescription
    await peer.setLocalDescription(await peer.createOffer())
    await peer.setRemoteDescription(
        RTCSessionDescription(sdp=_set_video_direction(answer.sdp, "sendonly"), type="answer")
    )


def _set_video_direction(sdp: str, direction: str) -> str:
    sections = re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)
    return "".join(
        _DIRECTION.sub(f"a={direction}\r", section) if section.startswith("m=video") else section
        for section in sections
    )
