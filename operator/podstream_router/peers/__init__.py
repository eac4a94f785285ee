"""Several router replicas carry the media of all clients together.

`Sharing` is what the rest of the router sees; docs/adr/0006-router-replicas.md says why and how.
"""

from podstream_router.peers.messages import Seal
from podstream_router.peers.mover import Moved
from podstream_router.peers.sharing import Sharing

__all__ = ["Moved", "Seal", "Sharing"]
