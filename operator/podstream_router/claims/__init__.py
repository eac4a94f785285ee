"""Gives connections that arrive for a pool a pod, and afterwards a session, of their own."""

from podstream_router.claims.claim import Claim
from podstream_router.claims.claims import Claims
from podstream_router.claims.demand import Demand
from podstream_router.claims.recorder import Recorder, SessionApi
from podstream_router.claims.release import Releases
from podstream_router.claims.ticket import Ticket

__all__ = ["Claim", "Claims", "Demand", "Recorder", "Releases", "SessionApi", "Ticket"]
