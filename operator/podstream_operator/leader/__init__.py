"""Which operator process may write: a Lease, the elector that holds it, and the fence."""

from podstream_operator.leader.elector import Elector, LeaseClient
from podstream_operator.leader.fence import Fence
from podstream_operator.leader.lease import LeaseTiming

__all__ = ["Elector", "Fence", "LeaseClient", "LeaseTiming"]
