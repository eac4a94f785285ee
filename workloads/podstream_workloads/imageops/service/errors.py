"""How a call is refused: one exception for the services, and what becomes it."""

import grpc

from podstream_workloads.imageops.headers import BadPicture, PictureTooLarge
from podstream_workloads.imageops.operations.plan import ChainError, TooLarge
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.wire.fields import WireError
from podstream_workloads.imageops.workers.jobs import RefusalKind, Refused
from podstream_workloads.imageops.workers.pool import PoolBusy, PoolClosed
from podstream_workloads.imageops.workers.process import JobCancelled, JobLate, WorkerGone

RETRY_TRAILER = "grpc-retry-pushback-ms"
"""After how many milliseconds to try again (gRFC A6)."""
RETRY_MS = 500

_CODES = {
    Rejection.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Rejection.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Rejection.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Rejection.LATE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Rejection.CANCELLED: grpc.StatusCode.CANCELLED,
    Rejection.FAILED: grpc.StatusCode.INTERNAL,
}
_REFUSALS = {
    RefusalKind.INVALID: Rejection.INVALID,
    RefusalKind.TOO_LARGE: Rejection.TOO_LARGE,
    RefusalKind.FAILED: Rejection.FAILED,
}


class CallError(Exception):
    """A call gets no result; the message says why and what to do."""

    def __init__(
        self,
        reason: Rejection,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        trailers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`code` where it is another than the reason's."""
        super().__init__(message)
        self.reason = reason
        self.code = _CODES[reason] if code is None else code
        self.trailers = trailers


def invalid(message: str) -> CallError:
    """The request is wrong."""
    return CallError(Rejection.INVALID, message)


def busy(message: str) -> CallError:
    """The request may be right another time."""
    return CallError(Rejection.BUSY, message, trailers=((RETRY_TRAILER, str(RETRY_MS)),))


def error_of(refused: Refused) -> CallError:
    """A worker's refusal as an error of the call."""
    return CallError(_REFUSALS[refused.kind], refused.message)


def translate(error: Exception) -> CallError | None:
    """The error of a call that another one means; `None` for a fault of ours."""
    match error:
        case CallError():
            return error
        case TooLarge() | PictureTooLarge():
            return CallError(Rejection.TOO_LARGE, str(error))
        case ChainError() | BadPicture() | WireError():
            return invalid(str(error))
        case PoolBusy():
            return busy(str(error))
        case PoolClosed():
            return CallError(Rejection.BUSY, str(error), code=grpc.StatusCode.UNAVAILABLE)
        case WorkerGone():
            return CallError(Rejection.FAILED, f"the worker did not survive the picture: {error}")
        case JobLate():
            return CallError(Rejection.LATE, "the work on the picture took too long")
        case JobCancelled():
            return CallError(Rejection.CANCELLED, "the call was cancelled")
        case _:
            return None
