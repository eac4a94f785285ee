"""How fast pictures come and go: streams against a TCP socket, unary calls tuned and untuned.

    python tests/bench/bench_image_transport.py [--megabytes 300] [--rounds 3] [--json]

Each server is a process of its own, the client another one. Lines, best of the rounds:

* baseline `TCP`: a plain socket in Python over loopback, 1 MiB at a time.
* streams of podstream.image.v1: a picture into `Process` (of which one pixel comes back), the same
  with a checksum into `Upload`, and out of `Download`; chunks of 1 MiB.
* unary: `RotateImage` without rotation, a message of 1 MiB each way. The baseline `stock` is a
  server and a client as grpcio generates them. `untuned` is the session's server with malloc as it
  comes and a client of raw bytes, `tuned` the same as the pod runs it (`keep_freed_memory`).

Targets: streams at 0.5 of the socket or more, unary tuned at 4 times stock.
"""

import argparse
import concurrent.futures
import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc

from imageops.server import LIMITS, Images
from podstream_workloads.imageops.limits import MIB
from podstream_workloads.imageops.service.server import ImageServer, keep_freed_memory
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.wire import image_pb2
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.wire.fields import bytes_key

STREAM_TARGET, UNARY_TARGET = 0.5, 4.0
CHUNK = MIB
WIDTH = 10_000
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ROOMY = replace(
    LIMITS, max_pixels=400_000_000, max_upload_bytes=1024 * MIB, memory_bytes=4096 * MIB
)


@dataclass(frozen=True)
class Figure:
    """One way of moving bytes."""

    name: str
    mb_per_s: float


# -- servers, each a process


def run_tcp() -> None:
    """Take all bytes of each connection, then answer one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(f"127.0.0.1:{server.getsockname()[1]}", flush=True)
        buffer = bytearray(CHUNK)
        while True:
            connection, _ = server.accept()
            with connection:
                while connection.recv_into(buffer):
                    pass
                connection.sendall(b"x")


def run_stock() -> None:
    """`RotateImage` by generated classes, on the server's default threads."""
    handler: Any = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: request.image,
        image_pb2.NLImageRotateRequest.FromString,
        image_pb2.NLImage.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler("NLImageService", {"RotateImage": handler})
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), [generic], options=OPTIONS)
    print(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


def run_service(*, tuned: bool) -> None:
    if tuned:
        keep_freed_memory()
    server = ImageServer(ROOMY, statistics=Statistics())
    port = server.open("127.0.0.1:0")
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.close()


@contextmanager
def process(*arguments: str) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    """This program in another role; the first line that it prints."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout is not None
        try:
            yield made.stdout.readline().strip(), made
        finally:
            if arguments[0] == "--tcp":
                made.terminate()
            else:
                made.communicate()


# -- the client, a process too, so that it can be tuned or not


def best(work: Callable[[], None], *, count: int, rounds: int) -> float:
    """Megabytes a second of the fastest round, after one to warm up."""
    times = []
    for _ in range(rounds + 1):
        begun = time.monotonic()
        work()
        times.append(time.monotonic() - begun)
    return count / min(times[1:]) / 1e6


def tcp(address: str, data: bytes, rounds: int) -> float:
    host, _, port = address.partition(":")
    view = memoryview(data)

    def once() -> None:
        with socket.create_connection((host, int(port))) as connection:
            for at in range(0, len(view), CHUNK):
                connection.sendall(view[at : at + CHUNK])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    return best(once, count=len(data), rounds=rounds)


def streams(channel: grpc.Channel, data: bytes, rounds: int) -> Iterator[Figure]:
    """Raw messages in the client, too: what is measured is the service, not protobuf's copies."""
    view, rows = memoryview(data), len(data) // (3 * WIDTH)
    pixel = pb.Operation(crop=pb.Crop(width=1, height=1))
    form = pb.Input(raw=pb.Raw(width=WIDTH, height=rows, space=pb.SPACE_RGB))
    into: Any = channel.stream_stream("/podstream.image.v1.Images/Process")

    def messages() -> Iterator[bytes]:
        header = pb.ProcessHeader(size=len(data), input=form, operations=[pixel])
        yield pb.ProcessRequest(header=header).SerializeToString()
        for at in range(0, len(view), CHUNK):
            part = view[at : at + CHUNK]
            yield b"".join((bytes_key(2, len(part)), part))

    def process_in() -> None:
        for _ in into(messages()):
            pass

    yield Figure("stream in: Process", best(process_in, count=len(data), rounds=rounds))
    images = Images(channel)
    checksum = hashlib.sha256(data).digest()

    def parts() -> Iterator[pb.UploadRequest]:
        for at in range(0, len(view), CHUNK):
            part = bytes(view[at : at + CHUNK])
            yield pb.UploadRequest(name="bench", offset=at, data=part, size=len(data))
        yield pb.UploadRequest(name="bench", finish=True, sha256=checksum)

    def upload() -> None:
        images.upload(parts())
        images.delete_object(pb.DeleteObjectRequest(name="bench"))

    yield Figure("stream in: Upload", best(upload, count=len(data), rounds=rounds))
    images.upload(parts())
    out: Any = channel.unary_stream("/podstream.image.v1.Images/Download")
    wanted = pb.DownloadRequest(name="bench").SerializeToString()

    def download() -> None:
        received = sum(len(message) for message in out(wanted))
        assert received > len(data)

    yield Figure("stream out: Download", best(download, count=len(data), rounds=rounds))


def unary(channel: grpc.Channel, rounds: int, *, stock: bool, calls: int = 100) -> float:
    """Bytes there; as many come back."""
    side = 1024
    picture = bytes(side * side)
    path = "/NLImageService/RotateImage"
    rotate: Any
    if stock:
        rotate = channel.unary_unary(
            path,
            image_pb2.NLImageRotateRequest.SerializeToString,
            image_pb2.NLImage.FromString,
        )

        def once() -> None:
            image = image_pb2.NLImage(data=picture, width=side, height=side)
            assert len(rotate(image_pb2.NLImageRotateRequest(image=image)).data) == len(picture)
    else:
        image = image_pb2.NLImage(data=picture, width=side, height=side)
        message = image_pb2.NLImageRotateRequest(image=image).SerializeToString()
        rotate = channel.unary_unary(path)

        def once() -> None:
            assert len(rotate(message)) > len(picture)

    def many() -> None:
        for _ in range(calls):
            once()

    return best(many, count=calls * len(picture), rounds=rounds)


def run_client(given: argparse.Namespace) -> None:
    data = bytes(given.megabytes * 1_000_000 // (3 * WIDTH) * (3 * WIDTH))
    if given.client == "tcp":
        print(json.dumps([["TCP", tcp(given.address, data, given.rounds)]]))
        return
    tuned = given.client == "tuned"
    if tuned:
        keep_freed_memory()
    with grpc.insecure_channel(given.address, options=OPTIONS) as channel:
        found = list(streams(channel, data, given.rounds)) if tuned else []
        rate = unary(channel, given.rounds, stock=given.client == "stock")
        found.append(Figure(f"unary 1 MiB, {given.client}", rate))
    print(json.dumps([[item.name, item.mb_per_s] for item in found]))


def measured(kind: str, given: argparse.Namespace) -> list[Figure]:
    server = ["--tcp"] if kind == "tcp" else ["--service", kind]
    with process(*server) as (address, _):
        numbers = ["--megabytes", str(given.megabytes), "--rounds", str(given.rounds)]
        with process("--client", kind, "--address", address, *numbers) as (line, _):
            return [Figure(name, rate) for name, rate in json.loads(line)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tcp", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--service", help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tcp:
        run_tcp()
    if given.service == "stock":
        run_stock()
        return 0
    if given.service:
        run_service(tuned=given.service == "tuned")
        return 0
    if given.client:
        run_client(given)
        return 0
    figures = {
        f.name: f for kind in ("tcp", "stock", "untuned", "tuned") for f in measured(kind, given)
    }
    base, stock = figures["TCP"].mb_per_s, figures["unary 1 MiB, stock"].mb_per_s
    if given.json:
        print(json.dumps({name: round(f.mb_per_s, 1) for name, f in figures.items()}))
        return 0
    print(f"{'way':26}{'MB/s':>8}{'of TCP':>9}{'of stock':>12}")
    for name, figure in figures.items():
        share = f"{figure.mb_per_s / stock:12.2f}" if name.startswith("unary") else ""
        print(f"{name:26}{figure.mb_per_s:8.0f}{figure.mb_per_s / base:9.2f}{share}")
    for name, ratio, target in (
        ("stream in of TCP", figures["stream in: Process"].mb_per_s / base, STREAM_TARGET),
        ("stream out of TCP", figures["stream out: Download"].mb_per_s / base, STREAM_TARGET),
        ("unary of stock", figures["unary 1 MiB, tuned"].mb_per_s / stock, UNARY_TARGET),
    ):
        verdict = "kept" if ratio >= target else "MISSED"
        print(f"target: {name} >= {target:g}: {verdict} ({ratio:.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
