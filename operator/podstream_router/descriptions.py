"""Session descriptions on their way past the router: whose addresses may be in them."""

from podstream_core.ufrag import parse_ufrag, pod_digest
from podstream_router import sdp
from podstream_router.errors import BadOffer, PodFailed
from podstream_router.routes import PodRoute


def rewrite_for_clients(
    description: str, *, pod: PodRoute, addresses: tuple[sdp.MediaAddress, ...]
) -> str:
    """Put the router's addresses into a pod's description.

    Raises:
        PodFailed: the description is malformed, or its ICE fragments do not name the pod, so that
            no media would arrive.
    """
    try:
        summary = sdp.check_ice(description)
        rewritten = sdp.rewrite_candidates(description, addresses=addresses)
    except sdp.SdpError as error:
        raise PodFailed(f"the description of the session's pod {error}") from error
    digest = pod_digest(pod.uid)
    for ufrag in summary.ufrags:
        place = parse_ufrag(ufrag)
        if place is None or place.pod_digest != digest:
            raise PodFailed("the ICE fragment of the session's pod does not name the pod")
    return rewritten


def strip_offer(offer: str) -> str:
    """A client's offer without its addresses: a pod that knew them would send past the router.

    Raises:
        BadOffer: the offer is malformed.
    """
    try:
        sdp.check_ice(offer)
        return sdp.strip_candidates(offer)
    except sdp.SdpError as error:
        raise BadOffer(f"the offer {error}") from error
