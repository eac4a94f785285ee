"""HTTP and WebSocket connections of clients to their sessions: a port's own, and by a path."""

from podstream_router.web.listener import WebListener
from podstream_router.web.paths import SitePaths

__all__ = ["SitePaths", "WebListener"]
