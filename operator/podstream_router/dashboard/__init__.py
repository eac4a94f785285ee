"""The dashboard: a page for people, and the API under `/api/v1` that it stands on.

Owns who may see what, a copy of what the watches see, and the stream of changes to open pages.
Keeps nothing that a second replica would need: any replica can serve any page.
"""

from podstream_router.dashboard.board import Board, Copied
from podstream_router.dashboard.people import Sender
from podstream_router.dashboard.wiring import Dashboard, Parts

__all__ = ["Board", "Copied", "Dashboard", "Parts", "Sender"]
