"""Which slot of a tracking session does a request take?

A WebSocket stays, so it takes the place of a camera or a client. What only asks and goes is a
caller: such slots are free again at once, and the session does not live by them. Socket.IO begins
by polling, and stock clients upgrade the very connection that they have polled on: all of it is a
device's.
"""

from typing import Final

CALLER: Final = "caller"
_SOCKETS: Final = {
    "/client": "client",
    "/processor": "camera",
}
_SOCKET_IO: Final = "/socket.io"


def role_of(path: str, *, is_upgrade: bool) -> str:
    """The role for a path below the session's root.

    Args:
        path: as it stands in the request, without its query.
        is_upgrade: whether the request asks for a WebSocket.
    """
    place = path.rstrip("/")
    if place == _SOCKET_IO:
        return "device"
    return _SOCKETS.get(place, CALLER) if is_upgrade else CALLER
