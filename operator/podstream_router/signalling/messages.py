"""What may pass between a signalling client and its pod, and with which addresses in it."""

from typing import Any, Final

from podstream_router import sdp
from podstream_router.descriptions import rewrite_for_clients
from podstream_router.errors import Overloaded
from podstream_router.lines import LineError
from podstream_router.routes import PodRoute

Message = dict[str, Any]

_DESCRIPTIONS: Final = ("offer", "answer")


def for_client(
    message: Message, *, pod: PodRoute, addresses: tuple[sdp.MediaAddress, ...]
) -> Message | None:
    """A pod's message as the client gets it; `None` drops it.

    Raises:
        PodFailed: the pod's description cannot be used.
        Overloaded: the router does not know its own media address yet.
    """
    if message["type"] == "bye":
        return {"type": "bye"}
    if message["type"] not in _DESCRIPTIONS:
        return None
    if not addresses:
        raise Overloaded("the router's media address is not resolved yet")
    text = rewrite_for_clients(_sdp_of(message), pod=pod, addresses=addresses)
    return {"sdp": text, "type": message["type"]}


def for_pod(message: Message) -> Message | None:
    """A client's message as the pod gets it; `None` drops it.

    Raises:
        LineError: the client does not keep the format.
    """
    kind = message["type"]
    if kind == "bye":
        return {"type": "bye"}
    if kind == "candidate":
        return None
    if kind not in _DESCRIPTIONS:
        raise LineError(f"a message of type {str(kind)[:40]!r} is not known")
    try:
        text = _sdp_of(message)
        sdp.check_ice(text)
        return {"sdp": sdp.strip_candidates(text), "type": kind}
    except sdp.SdpError as error:
        raise LineError(f"the {kind} {error}") from error


def _sdp_of(message: Message) -> str:
    text = message.get("sdp")
    if not isinstance(text, str):
        raise LineError(f"the {message['type']} has no sdp")
    return text
