"""`python -m podstream_workloads.imageops.workers.worker <launch>`: works off one job at a time.

Confines itself before the first job: an upper bound of memory, no files, no network, no other
processes. It ends when its parent closes the socket or is gone.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
import time
from typing import Any, Final

# Read once by OpenCV, when it is loaded; the header's check is stricter.
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**32)
os.environ["OPENCV_LOG_LEVEL"] = "OFF"

import cv2
import msgspec
import numpy as np

from podstream_workloads.imageops.codec import decode, encode
from podstream_workloads.imageops.headers import BadPicture, HeaderLimits, inspect
from podstream_workloads.imageops.headers.window import BytesSource
from podstream_workloads.imageops.operations.apply import Picture, apply_chain
from podstream_workloads.imageops.operations.plan import ChainError, plan_chain
from podstream_workloads.imageops.operations.values import (
    Convert,
    Crop,
    Flip,
    Gaussian,
    Mean,
    Operation,
    QuarterTurn,
    Resize,
    RotateDegrees,
    Space,
    Turn,
)
from podstream_workloads.imageops.output import Output, OutputFormat
from podstream_workloads.imageops.workers.jobs import (
    MAX_MESSAGE_BYTES,
    Done,
    FileSource,
    Job,
    RawSource,
    RefusalKind,
    Refused,
    Reply,
    Step,
)
from podstream_workloads.imageops.workers.launch import WorkerLaunch
from podstream_workloads.imageops.workers.seccomp import confine

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_EXIT_ORPHANED: Final = 71
_MAX_FILES: Final = 16
_SEGMENTS: Final = 2
_CV_NO_MEMORY: Final = -4
"""`cv::Error::StsNoMem`."""


def main() -> int:
    """Serve jobs until the parent has closed the socket."""
    launch = msgspec.json.decode(sys.argv[1], type=WorkerLaunch)
    _die_with_parent(launch.parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    channel = socket.socket(fileno=launch.socket_fd)
    _warm_up()
    _silence_decoders()
    is_confined = _confine(launch)
    channel.send(b"confined" if is_confined else b"ready")
    while True:
        message, fds, _flags, _address = socket.recv_fds(channel, MAX_MESSAGE_BYTES, _SEGMENTS)
        if not message:
            return 0
        try:
            reply = _work(message, fds, channel)
        finally:
            for fd in fds:
                os.close(fd)
        channel.send(msgspec.json.encode(reply))


def _work(message: bytes, fds: list[int], channel: socket.socket) -> Reply:
    kind, text = RefusalKind.FAILED, ""
    try:
        return _perform(msgspec.json.decode(message, type=Job), fds, channel)
    except (BadPicture, ChainError) as error:
        kind, text = RefusalKind.INVALID, str(error)
    except MemoryError:
        kind, text = RefusalKind.TOO_LARGE, "the picture needs more memory than it may take"
    except cv2.error as error:
        if error.code == _CV_NO_MEMORY:
            kind, text = RefusalKind.TOO_LARGE, "the picture needs more memory than it may take"
        else:
            text = str(error.err)
    except Exception as error:  # the worker outlives whatever a picture makes go wrong
        text = f"{type(error).__name__}: {error}"
    return Refused(kind=kind, message=text[:1000], cpu_s=time.process_time())


def _perform(job: Job, fds: list[int], channel: socket.socket) -> Done:
    def tell(done: int) -> None:
        channel.send(msgspec.json.encode(Step(done=done)))

    is_raw = job.output.format is OutputFormat.RAW
    # Of raw values that are cropped first, little is looked at.
    is_cropped = isinstance(job.operations[0], Crop) if job.operations else False
    is_all = not (is_cropped and isinstance(job.source, RawSource))
    # Mappings go with the last array on them.
    data = np.frombuffer(_map(fds[0], job.input_bytes, at_once=is_all), np.uint8)
    out = np.frombuffer(_map(fds[1], job.capacity, at_once=is_raw), np.uint8)
    return _transform(job, data[: job.input_bytes], out, tell)


def _transform(job: Job, data: Any, out: Any, tell: Any) -> Done:
    picture, space = _read(job, data)
    tell(0)
    is_raw = job.output.format is OutputFormat.RAW
    place = _place(job, out, dtype=picture.dtype) if is_raw else None
    picture, space = apply_chain(picture, job.operations, space=space, out=place, on_step=tell)
    if place is None or not _is_same(picture, place):
        data = encode(picture, job.output)
        out[: data.size] = data
        size = int(data.size)
    else:
        size = int(picture.nbytes)
    return Done(
        width=int(picture.shape[1]),
        height=int(picture.shape[0]),
        space=space,
        bytes_per_value=picture.itemsize,
        size=size,
        cpu_s=time.process_time(),
    )


def _read(job: Job, data: Any) -> tuple[Picture, Space]:
    if isinstance(job.source, FileSource):
        return decode(data, header=job.source.header, keep_depth=job.source.keep_depth)
    shape = job.source.shape
    channels = (shape.space.channels,) if shape.space.channels > 1 else ()
    dtype = np.uint8 if shape.bytes_per_value == 1 else np.dtype("<u2")
    return data.view(dtype).reshape(shape.height, shape.width, *channels), shape.space


def _place(job: Job, out: Any, *, dtype: Any) -> Picture | None:
    """The output segment as the array that the last operation can write to."""
    last = job.operations[-1] if job.operations else None
    if isinstance(last, QuarterTurn | Mean):
        # Raw capacity is exact: bytes of the result, whose form only the turn changes.
        shape = _result_shape(job)
        return out.view(dtype)[: int(np.prod(shape))].reshape(shape)  # type: ignore[no-any-return]
    return None


def _result_shape(job: Job) -> tuple[int, ...]:
    shape = plan_chain(job.operations, shape=job.source.shape, max_pixels=2**62).shape
    channels = (shape.space.channels,) if shape.space.channels > 1 else ()
    return shape.height, shape.width, *channels


def _is_same(picture: Picture, place: Picture) -> bool:
    return picture is place or picture.ctypes.data == place.ctypes.data


def _map(fd: int, size: int, *, at_once: bool) -> mmap.mmap:
    """Map a segment; `at_once` spares a fault for every sixteen pages where all will be used."""
    flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if at_once else 0)
    return mmap.mmap(fd, max(size, 1), flags=flags)


def _warm_up() -> None:
    """Load and initialise what jobs use: afterwards nothing can be opened any more."""
    picture = np.zeros((8, 8, 3), np.uint8)
    operations: list[Operation] = [
        QuarterTurn(turn=Turn.NINETY),
        RotateDegrees(degrees=10),
        Mean(),
        Mean(width=5),
        Gaussian(sigma=1),
        Resize(width=6, height=6),
        Flip(horizontal=True),
    ]
    for space in Space:
        operations += [Convert(space=space), Convert(space=Space.RGB)]
    apply_chain(picture, operations, space=Space.RGB)
    for kind in OutputFormat:
        file = encode(picture, Output(format=kind))
        if kind is not OutputFormat.RAW:
            header = inspect(BytesSource(bytes(file)), limits=HeaderLimits(max_pixels=100))
            decode(file, header=header, keep_depth=True)
    for extension in (".bmp", ".gif"):
        file = np.asarray(cv2.imencode(extension, picture)[1], np.uint8).reshape(-1)
        header = inspect(BytesSource(bytes(file)), limits=HeaderLimits(max_pixels=100))
        decode(file, header=header, keep_depth=False)
    # The ways to fail load code as well.
    cv2.imdecode(np.zeros(64, np.uint8), cv2.IMREAD_COLOR)


def _silence_decoders() -> None:
    """Drop what decoders print about damaged pictures: whoever sends them must not fill the log.

    The refusal of the call says what is wrong, and how a worker ended tells its parent.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def _confine(launch: WorkerLaunch) -> bool:
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = {
        resource.RLIMIT_AS: in_use + launch.memory_bytes,
        resource.RLIMIT_NOFILE: _MAX_FILES,
        # Segments are made by the parent; writing through a mapping is no write to a file.
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))
    return confine() if launch.is_confined else False


def _die_with_parent(parent_pid: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before the call above
        sys.exit(_EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
