"""Whether an offer has what the workload needs, before a peer connection is made for it."""

from aiortc.sdp import SessionDescription

from podstream_core.api import Codec
from podstream_workloads.agent import BadOffer, UnsupportedOffer


def check_offer(text: str) -> None:
    """Refuse a player's offer that cannot be played.

    Raises:
        BadOffer: it is no SDP.
        UnsupportedOffer: it has no video that can be received, or no codec that is sent here.
    """
    _check(text, wanted="recvonly")


def check_upload(text: str) -> None:
    """Refuse a publisher's offer that cannot be received.

    Raises:
        BadOffer: it is no SDP.
        UnsupportedOffer: it sends no video, or none in a codec that is known here.
    """
    _check(text, wanted="sendonly")


def _check(text: str, *, wanted: str) -> None:
    try:
        offer = SessionDescription.parse(text)
    except Exception as error:
        # aiortc's parser raises whatever it stumbles over.
        raise BadOffer(f"not an SDP offer: {str(error) or type(error).__name__}") from error
    if not offer.media:
        raise BadOffer("the SDP has no m= section")
    videos = [media for media in offer.media if media.kind == "video"]
    if not videos:
        raise UnsupportedOffer(f"the offer has no m=video section; add a {wanted} video")
    video = videos[0]
    if video.direction not in (wanted, "sendrecv"):
        raise UnsupportedOffer(f"the video is {video.direction}; it must be {wanted}")
    names = {codec.name.upper() for codec in video.rtp.codecs}
    if not names & set(Codec):
        raise UnsupportedOffer(
            f"the offer knows {', '.join(sorted(names)) or 'no codec'}; possible are H264 and VP8"
        )
