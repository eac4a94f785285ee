"""How fast pictures come and go: streams against grpcio alone and a socket, unary calls untuned.

    python tests/bench/bench_image_transport.py [--megabytes 300] [--rounds 5] [--json]

Each server is a process of its own (`image_peers.py`), the client another one. Lines, best of the
rounds, which take all lines in turn:

* baseline `TCP`: a plain socket in Python over loopback, 1 MiB at a time.
* baselines `bare`: grpcio alone, the same messages of 1 MiB, taken and dropped, or given again and
  again by handlers of raw bytes.
* streams of podstream.image.v1: a picture into `Process` (of which one pixel comes back), the same
  into `Upload`, which takes its checksum (the baseline does the same), and out of `Download`.
* unary, a message of 1 MiB each way. The baseline `stock` is `RotateImage` without rotation by a
  server and a client as grpcio generates them; `bare` is grpcio alone that sends raw bytes back,
  with malloc as the pod sets it (`keep_freed_memory`), `bare-untuned` with malloc as it comes.
  `tuned` and `untuned` are the session's server, which has a worker process turn the picture.

`CPU` is seconds of server and client for a gigabyte; a server's workers do not count. Targets:
streams at 0.5 of the socket, or 0.9 of grpcio alone where that does not reach it; unary calls of
raw bytes, tuned, at 4 times stock.
"""

import argparse
import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import psutil

from bench.image_peers import UNLIMITED, Peer, peer
from bench.kept import keep
from imageops.server import Images
from podstream_workloads.imageops.limits import CHUNK_BYTES
from podstream_workloads.imageops.service.server import keep_freed_memory
from podstream_workloads.imageops.wire import image_pb2
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.wire.fields import bytes_key, number_field

STREAM_TARGET, BARE_TARGET, UNARY_TARGET = 0.5, 0.9, 4.0
WIDTH = 10_000
UNARY_CALLS = 100
BARE = {"Process": "bare in", "Upload": "bare in, checksum", "Download": "bare out"}
_UPLOAD_OFFSET, _UPLOAD_DATA = 2, 3


@dataclass(frozen=True)
class Figure:
    """One way of moving bytes, in its best round."""

    name: str
    mb_per_s: float
    server_cpu_s_per_gb: float
    client_cpu_s_per_gb: float


@dataclass(frozen=True)
class Way:
    """One way of moving so many bytes."""

    name: str
    pid: int
    """Of the server."""
    count: int
    once: Callable[[], None]

    def measure(self) -> Figure:
        """Do it, and watch both processes."""
        server = psutil.Process(self.pid)
        before, own, begun = server.cpu_times(), time.process_time(), time.monotonic()
        self.once()
        seconds, own = time.monotonic() - begun, time.process_time() - own
        after = server.cpu_times()
        used = after.user + after.system - before.user - before.system
        gigabytes = self.count / 1e9
        return Figure(self.name, gigabytes * 1e3 / seconds, used / gigabytes, own / gigabytes)


def best(ways: list[Way], rounds: int) -> list[Figure]:
    """The fastest round of each way, after one to warm up."""
    found: dict[str, list[Figure]] = {way.name: [] for way in ways}
    for _ in range(rounds + 1):
        for way in ways:
            found[way.name].append(way.measure())
    return [max(figures[1:], key=lambda figure: figure.mb_per_s) for figures in found.values()]


# -- the client, a process too, so that it can be tuned or not


def tcp(server: Peer, data: bytes) -> Way:
    host, _, port = server.address.partition(":")
    view = memoryview(data)

    def once() -> None:
        with socket.create_connection((host, int(port))) as connection:
            for at in range(0, len(view), CHUNK_BYTES):
                connection.sendall(view[at : at + CHUNK_BYTES])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    return Way("TCP", server.pid, len(data), once)


def chunks(data: bytes) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(data)
    for at in range(0, len(view), CHUNK_BYTES):
        yield at, view[at : at + CHUNK_BYTES]


def process_messages(data: bytes) -> Iterator[bytes]:
    """`Process` of a picture by raw messages: measured is the service, not protobuf's copies."""
    pixel = pb.Operation(crop=pb.Crop(width=1, height=1))
    rows = len(data) // (3 * WIDTH)
    form = pb.Input(raw=pb.Raw(width=WIDTH, height=rows, space=pb.SPACE_RGB))
    header = pb.ProcessHeader(size=len(data), input=form, operations=[pixel])
    yield pb.ProcessRequest(header=header).SerializeToString()
    for _, part in chunks(data):
        yield b"".join((bytes_key(2, len(part)), part))


def upload_messages(data: bytes, digest: bytes) -> Iterator[bytes]:
    begin = pb.UploadRequest(name="bench", size=len(data))
    yield begin.SerializeToString()
    for at, part in chunks(data):
        key = number_field(_UPLOAD_OFFSET, at) + bytes_key(_UPLOAD_DATA, len(part))
        yield b"".join((key, part))
    end = pb.UploadRequest(finish=True, sha256=digest)
    yield end.SerializeToString()


def bare(channel: grpc.Channel, server: Peer, data: bytes, digest: bytes) -> list[Way]:
    take: Any = channel.stream_stream("/Bare/Take")
    check: Any = channel.stream_stream("/Bare/Check")
    give: Any = channel.unary_stream("/Bare/Give")
    count = -(-len(data) // CHUNK_BYTES)

    def into(method: Any, messages: Iterator[bytes]) -> None:
        for _ in method(messages):
            pass

    def out() -> None:
        assert sum(len(message) for message in give(str(count).encode())) >= len(data)

    return [
        Way("bare in", server.pid, len(data), lambda: into(take, process_messages(data))),
        Way(
            "bare in, checksum",
            server.pid,
            len(data),
            lambda: into(check, upload_messages(data, digest)),
        ),
        Way("bare out", server.pid, count * CHUNK_BYTES, out),
    ]


def streams(channel: grpc.Channel, server: Peer, data: bytes, digest: bytes) -> list[Way]:
    path = "/podstream.image.v1.Images/"
    images = Images(channel)
    process: Any = channel.stream_stream(f"{path}Process")
    upload: Any = channel.stream_unary(f"{path}Upload")
    out: Any = channel.unary_stream(f"{path}Download")
    is_there = False
    stored = pb.DownloadRequest(name="bench").SerializeToString()

    def process_in() -> None:
        for _ in process(process_messages(data)):
            pass

    def upload_in() -> None:
        nonlocal is_there
        if is_there:
            images.delete_object(pb.DeleteObjectRequest(name="bench"))
        upload(upload_messages(data, digest))
        is_there = True

    def download() -> None:
        assert sum(len(message) for message in out(stored)) > len(data)

    return [
        Way("Process", server.pid, len(data), process_in),
        Way("Upload", server.pid, len(data), upload_in),
        Way("Download", server.pid, len(data), download),
    ]


def unary(channel: grpc.Channel, server: Peer, kind: str) -> Way:
    """Bytes there; as many come back."""
    side = 1024
    picture = bytes(side * side)
    image = image_pb2.NLImage(data=picture, width=side, height=side)
    message = image_pb2.NLImageRotateRequest(image=image).SerializeToString()
    generated = (image_pb2.NLImageRotateRequest.SerializeToString, image_pb2.NLImage.FromString)
    path = "/Bare/Echo" if kind.startswith("bare") else "/NLImageService/RotateImage"
    call: Any = channel.unary_unary(path, *(generated if kind == "stock" else ()))

    def many() -> None:
        for _ in range(UNARY_CALLS):
            if kind == "stock":
                made = image_pb2.NLImage(data=picture, width=side, height=side)
                answer = call(image_pb2.NLImageRotateRequest(image=made)).data
            else:
                answer = call(message)
            assert len(answer) >= len(picture)

    return Way(f"unary 1 MiB, {kind}", server.pid, UNARY_CALLS * len(picture), many)


def run_client(kind: str, given: argparse.Namespace) -> list[Figure]:
    data = bytes(given.megabytes * 1_000_000 // (3 * WIDTH) * (3 * WIDTH))
    if kind in ("bare", "tuned"):
        keep_freed_memory()
    with ExitStack() as stack:

        def start(what: str) -> tuple[grpc.Channel, Peer]:
            server = stack.enter_context(peer(what))
            channel = grpc.insecure_channel(server.address, options=UNLIMITED)
            return stack.enter_context(channel), server

        channel, server = start(kind)
        ways = [unary(channel, server, kind)]
        if kind == "tuned":
            raw = stack.enter_context(peer("tcp"))
            digest = hashlib.sha256(data).digest()
            ways += [tcp(raw, data), *bare(*start("bare"), data, digest)]
            ways += streams(channel, server, data, digest)
        return best(ways, given.rounds)


def measured(kind: str, given: argparse.Namespace) -> list[Figure]:
    """What a client of that kind finds."""
    numbers = ["--megabytes", str(given.megabytes), "--rounds", str(given.rounds)]
    command = [sys.executable, __file__, "--client", kind, *numbers]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [Figure(**fields) for fields in json.loads(out)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="keep the figures as well")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        print(json.dumps([asdict(figure) for figure in run_client(given.client, given)]))
        return 0
    kinds = ("stock", "bare-untuned", "bare", "untuned", "tuned")
    figures = {found.name: found for kind in kinds for found in measured(kind, given)}
    base, stock = figures["TCP"].mb_per_s, figures["unary 1 MiB, stock"].mb_per_s
    print(f"{'way':22}{'MB/s':>7}{'CPU of server, client':>24}{'of TCP':>9}{'of bare':>9}"
          f"{'of stock':>10}")  # fmt: skip
    for name, figure in figures.items():
        cpu = f"{figure.server_cpu_s_per_gb:.2f}, {figure.client_cpu_s_per_gb:.2f}"
        row = f"{name:22}{figure.mb_per_s:7.0f}{cpu:>24}{figure.mb_per_s / base:9.2f}"
        if name in BARE:
            row += f"{figure.mb_per_s / figures[BARE[name]].mb_per_s:9.2f}"
        elif name.startswith("unary"):
            row += f"{figure.mb_per_s / stock:19.2f}"
        print(row)
    targets = {}
    for name, baseline in BARE.items():
        of_tcp = figures[name].mb_per_s / base
        of_bare = figures[name].mb_per_s / figures[baseline].mb_per_s
        is_kept = of_tcp >= STREAM_TARGET or of_bare >= BARE_TARGET
        targets[name] = {"ofTCP": of_tcp, "ofBare": of_bare}
        print(f"target: {name} >= {STREAM_TARGET:g} of TCP or {BARE_TARGET:g} of grpcio alone: "
              f"{'kept' if is_kept else 'MISSED'} ({of_tcp:.2f}, {of_bare:.2f})")  # fmt: skip
    gained = figures["unary 1 MiB, bare"].mb_per_s / stock
    verdict = "kept" if gained >= UNARY_TARGET else "MISSED"
    print(
        f"target: unary by raw bytes, tuned >= {UNARY_TARGET:g} of stock: {verdict} ({gained:.2f})"
    )
    if given.json:
        lines = {name: asdict(figure) for name, figure in figures.items()}
        keep(__file__, {"lines": lines, "streams": targets, "unaryOfStock": gained})
    return 0


if __name__ == "__main__":
    sys.exit(main())
