"""Can a session reach the other one that it names? Its pod waits for that one's Secret."""

from podstream_core.api import AccessMode, StreamSession
from podstream_operator.decide.startup import Problem


def peer_problem(session: StreamSession, *, peer: StreamSession | None) -> Problem | None:
    """What has to be mended before the session's pod can start.

    Args:
        session: perhaps refers to another one (a camera to its site, an edge to its cloud).
        peer: that one, where it exists.
    """
    tracking = session.spec.tracking
    if tracking is None or tracking.dials is None:
        return None
    member, wanted = ("camera.siteRef", "orchestrator")
    if tracking.camera is None:
        member, wanted = ("edge.cloudRef", "recognition")
    where = f"StreamSession {tracking.dials.name}"
    if peer is None:
        text = f"there is no {where} in namespace {session.metadata.namespace}: apply it"
        return Problem("PeerNotFound", f"spec.tracking.{member}: {text}")
    if getattr(peer.spec.tracking, wanted, None) is None:
        text = f"{where} has no spec.tracking.{wanted}: name another one"
        return Problem("PeerMismatch", f"spec.tracking.{member}: {text}")
    if peer.spec.access.mode is not AccessMode.TOKEN:
        text = f"{where} has access.mode {peer.spec.access.mode.value}, so there is no token for it"
        return Problem(
            "PeerHasNoToken", f"spec.tracking.{member}: {text}: apply it anew with mode Token"
        )
    return None
