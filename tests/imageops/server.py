"""An image server in this process, and small clients of both services."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import grpc
import numpy as np

from podstream_core.api import ImageOps
from podstream_workloads.imageops.limits import MIB, ServiceLimits
from podstream_workloads.imageops.service.server import ImageServer
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

LIMITS = replace(
    ServiceLimits.of(ImageOps(max_pixels=40_000_000)),
    max_message_bytes=32 * MIB,
    max_upload_bytes=64 * MIB,
    timeout_s=20,
)
OPTIONS = [("grpc.max_receive_message_length", 64 * MIB)]


@dataclass
class Running:
    """A server that runs."""

    server: ImageServer
    statistics: Statistics
    address: str

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=OPTIONS)

    def free_memory(self) -> int:
        return LIMITS.memory_bytes - self.server.engine.admission.used_bytes


@contextmanager
def running(limits: ServiceLimits = LIMITS) -> Iterator[Running]:
    statistics = Statistics()
    server = ImageServer(limits, statistics=statistics)
    try:
        port = server.open("127.0.0.1:0")
        yield Running(server, statistics, f"127.0.0.1:{port}")
    finally:
        server.close()


def noise(width: int, height: int, *, seed: int = 1, colour: bool = True) -> Any:
    shape = (height, width, 3) if colour else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def raw(picture: Any) -> pb.Input:
    height, width = picture.shape[:2]
    space = pb.SPACE_GRAY if picture.ndim == 2 else pb.SPACE_RGB
    bits = 8 * picture.itemsize
    return pb.Input(raw=pb.Raw(width=width, height=height, space=space, bits=bits))


class Images:
    """podstream.image.v1 by plain multi-callables: no generated stubs are needed."""

    def __init__(self, channel: grpc.Channel, *, metadata: Sequence[tuple[str, str]] = ()) -> None:
        path = "/podstream.image.v1.Images/"

        def make(kind: str, name: str, request: Any, response: Any) -> Any:
            callable_ = getattr(channel, kind)(
                path + name,
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            return partial(callable_, metadata=metadata)

        self.process = make("stream_stream", "Process", pb.ProcessRequest, pb.ProcessResponse)
        self.upload = make("stream_unary", "Upload", pb.UploadRequest, pb.Object)
        self.get_object = make("unary_unary", "GetObject", pb.GetObjectRequest, pb.Object)
        self.apply = make("unary_stream", "Apply", pb.ApplyRequest, pb.ApplyResponse)
        self.download = make("unary_stream", "Download", pb.DownloadRequest, pb.DownloadResponse)
        self.delete_object = make(
            "unary_unary", "DeleteObject", pb.DeleteObjectRequest, pb.DeleteObjectResponse
        )
        self.get_limits = make("unary_unary", "GetLimits", pb.GetLimitsRequest, pb.Limits)


def requests(
    data: bytes, *, chunk: int = 100_000, size: int | None = None, **header: Any
) -> Iterator[pb.ProcessRequest]:
    declared = len(data) if size is None else size
    yield pb.ProcessRequest(header=pb.ProcessHeader(size=declared, **header))
    for at in range(0, len(data), chunk):
        yield pb.ProcessRequest(data=data[at : at + chunk])


@dataclass
class Outcome:
    """All that a `Process` call has answered."""

    result: pb.Result
    data: bytes
    progress: list[pb.Progress]


def collect(responses: Any) -> Outcome:
    outcome = Outcome(pb.Result(), b"", [])
    parts = []
    checksum = b""
    for response in responses:
        part = response.WhichOneof("part")
        if part == "progress":
            outcome.progress.append(response.progress)
        elif part == "result":
            outcome.result = response.result
        elif part == "data":
            parts.append(response.data)
        else:
            checksum = response.trailer.sha256
    outcome.data = b"".join(parts)
    assert checksum == hashlib.sha256(outcome.data).digest()
    assert outcome.result.size == len(outcome.data)
    return outcome
