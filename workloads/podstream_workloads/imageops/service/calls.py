"""One gRPC call as the services see it: its deadline, its cancellation, and how it fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import grpc

from podstream_workloads.imageops.service.errors import CallError, translate
from podstream_workloads.imageops.statistics import Rejection, Statistics
from podstream_workloads.imageops.workers.process import Cancellation

logger = logging.getLogger(__name__)


class Work(Protocol):
    """What ends the work on a picture early."""

    cancellation: Cancellation

    def remaining_s(self, *, at_most: float) -> float:
        """Seconds that are left, at most so many."""
        ...


class Call:
    """Deadline and cancellation of a call."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self.cancellation = Cancellation()
        if not context.add_callback(self.cancellation.set):
            self.cancellation.set()

    def remaining_s(self, *, at_most: float) -> float:
        """Seconds that are left, by the call's deadline and an own limit."""
        # A call without deadline has for ever.
        return min(at_most, max(0.0, self._context.time_remaining()))


@contextmanager
def handled(context: grpc.ServicerContext, statistics: Statistics) -> Iterator[Call]:
    """Run a call: whatever goes wrong in the block becomes its status, and is counted."""
    call = Call(context)
    try:
        yield call
    except Exception as error:
        known = _known(error, context)
        statistics.rejected(known.reason)
        if known.trailers:
            context.set_trailing_metadata(known.trailers)
        context.abort(known.code, str(known))
    finally:
        call.cancellation.close()


def _known(error: Exception, context: grpc.ServicerContext) -> CallError:
    """What has gone wrong, in words for the client."""
    if not context.is_active():
        # The end of a call shows as whatever the work stumbled over.
        reason = Rejection.LATE if context.time_remaining() <= 0 else Rejection.CANCELLED
        return CallError(reason, "the call has ended")
    known = translate(error)
    if known is None:
        logger.error("a call has failed", exc_info=error)
        known = CallError(Rejection.FAILED, "internal error; the session's log says more")
    return known
