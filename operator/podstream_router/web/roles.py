"""Which slot of a tracking session does a request take?

A WebSocket stays, so it takes the place of a camera, a client or a device. What only asks and goes,
Socket.IO's polling before its upgrade included, is a caller: such slots are free again at once, and
the session does not live by them.
"""

from typing import Final

CALLER: Final = "caller"
_SOCKETS: Final = {
    "/client": "client",
    "/processor": "camera",
    "/socket.io": "device",
}


def role_of(path: str, *, is_upgrade: bool) -> str:
    """The role for a path below the session's root.

    Args:
        path: as it stands in the request, without its query.
        is_upgrade: whether the request asks for a WebSocket.
    """
    return _SOCKETS.get(path.rstrip("/"), CALLER) if is_upgrade else CALLER
