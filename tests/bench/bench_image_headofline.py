"""Small calls of the image service while a heavy one runs, against the same server idle.

    python tests/bench/bench_image_headofline.py [--seconds 4] [--rate 100] [--loads jpeg,raw]

A client sends JPEG pictures of 64x64 at a fixed rate, whatever becomes of the ones before; each
latency counts from the moment at which the call was due. Beside it another process makes heavy
calls one after the other. The server is `podstream-image serve`, a process of its own with its
workers. Baselines of the same run: the server without a heavy call (ratio 1), and `plain`: the
shortest server one would write with grpcio and OpenCV, 8 threads that do the work themselves.

The last line says whether every 99th percentile stayed within 3 times that of the idle server.
Everything shares the machine's cores; only ratios of one run mean anything.
"""

import argparse
import concurrent.futures
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import grpc
import numpy as np

from bench.kept import keep
from imageops.server import Images, noise, raw, requests
from podstream_workloads.imageops.wire import image_pb2
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

TARGET = 3.0
TURN = pb.Operation(turn=pb.Turn(quarters=1))
MEAN = pb.Operation(mean=pb.Mean())
JPEG = pb.Output(format=pb.FORMAT_JPEG)
UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
LOADS = {
    "jpeg": "100 MP JPEG, turned, mean, JPEG",
    "raw": "300 MB of raw pixels, turned, streamed",
    "unary": "60 MB of raw pixels, MeanFilter, unary",
    "long": "12 MP, gaussian sigma 10, ten times",
}
PLAIN_LOADS = ("jpeg", "raw")
SERVE = ["--max-pixels", "110000000", "--memory-mib", "6000", "--max-upload-mib", "1024"]


@dataclass(frozen=True)
class Row:
    """One server under one load."""

    server: str
    load: str
    calls: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    heavy_s: float
    """Of one heavy call; 0: none ran."""


def big_picture(side: int) -> Any:
    tile = cv2.GaussianBlur(noise(1000, 1000), (0, 0), 2)
    repeat = side // 1000
    return np.tile(tile, (repeat, repeat, 1))


def encode(picture: Any) -> bytes:
    return np.asarray(cv2.imencode(".jpg", picture)[1]).tobytes()


# -- the heavy client, a process of its own


def run_heavy(address: str, load: str) -> None:
    """Make calls until standard input ends; print the seconds of each."""
    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        images = Images(channel)
        once: Any
        if load == "jpeg":
            data = encode(big_picture(10_000))

            def once() -> None:
                for _ in images.process(
                    requests(data, chunk=1 << 20, operations=[TURN, MEAN], output=JPEG)
                ):
                    pass
        elif load == "unary":
            picture = noise(5000, 4000)
            image = image_pb2.NLImage(color=True, data=picture.tobytes(), width=5000, height=4000)
            mean: Any = channel.unary_unary(
                "/NLImageService/MeanFilter",
                request_serializer=image_pb2.NLImage.SerializeToString,
                response_deserializer=None,
            )

            def once() -> None:
                mean(image)
        else:
            picture = big_picture(10_000) if load == "raw" else noise(4000, 3000)
            gaussian = pb.Operation(gaussian=pb.Gaussian(sigma=10))
            chain = [TURN] if load == "raw" else [gaussian] * 10
            data = picture.tobytes()
            form = raw(picture)

            def once() -> None:
                for _ in images.process(
                    requests(data, chunk=1 << 20, operations=chain, input=form)
                ):
                    pass

        print("ready", flush=True)
        stop = threading.Event()

        def wait_for_the_end() -> None:
            sys.stdin.read()
            stop.set()

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        while not stop.is_set():
            begun = time.monotonic()
            once()
            print(f"{time.monotonic() - begun:.3f}", flush=True)


@contextmanager
def heavy(address: str, load: str) -> Iterator[list[float]]:
    """Heavy calls during the block; their seconds, when it has ended."""
    seconds: list[float] = []
    command = [sys.executable, __file__, "--heavy", load, "--address", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the heavy client for {load} has ended")
        try:
            yield seconds
        finally:
            process.stdin.close()
            seconds += [float(line) for line in process.stdout]
        if process.wait():
            raise RuntimeError(f"the heavy client for {load} has failed")


# -- the servers


class Plain(grpc.GenericRpcHandler):
    """What one writes first: the work is done on gRPC's threads."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if not details.method.endswith("/Process"):
            return None
        return grpc.stream_stream_rpc_method_handler(
            self.process, pb.ProcessRequest.FromString, pb.ProcessResponse.SerializeToString
        )

    def process(self, messages: Iterator[pb.ProcessRequest], _context: Any) -> Iterator[Any]:
        header = next(messages).header
        data = np.frombuffer(b"".join(message.data for message in messages), np.uint8)
        form = header.input.raw
        is_raw = form.width > 0
        picture: Any = (
            data.reshape(form.height, form.width, 3)
            if is_raw
            else cv2.imdecode(data, cv2.IMREAD_COLOR)
        )
        for operation in header.operations:
            if operation.HasField("turn"):
                picture = cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)
            else:
                picture = cv2.blur(picture, (3, 3))
        result = picture.tobytes() if is_raw else encode(picture)
        for at in range(0, len(result), 1 << 20):
            yield pb.ProcessResponse(data=result[at : at + (1 << 20)])


def run_plain() -> None:
    pool = concurrent.futures.ThreadPoolExecutor(8)
    server = grpc.server(pool, handlers=[Plain()], options=UNLIMITED)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"serving on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    server.wait_for_termination()


@contextmanager
def served(server: str) -> Iterator[str]:
    """A server as a process of its own; its address."""
    if server == "plain":
        command = [sys.executable, __file__, "--plain"]
    else:
        module = "podstream_workloads.imageops.cli"
        command = [
            sys.executable,
            "-m",
            module,
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            *SERVE,
        ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "serving on" in line:
                    yield line.split()[-1]
                    break
            else:
                raise RuntimeError(f"the server {server} has ended")
        finally:
            process.terminate()


# -- the small client


def small_calls(address: str, *, rate: float, seconds: float) -> list[float]:
    """Latencies in milliseconds, each from the moment at which its call was due."""
    picture = encode(noise(64, 64))
    with (
        grpc.insecure_channel(address, options=UNLIMITED) as channel,
        concurrent.futures.ThreadPoolExecutor(24) as pool,
    ):
        images = Images(channel)

        def once(due: float) -> float:
            for _ in images.process(requests(picture, operations=[TURN], output=JPEG), timeout=60):
                pass
            return (time.monotonic() - due) * 1e3

        for _ in range(20):
            once(time.monotonic())
        begun = time.monotonic()
        pending = []
        for number in range(round(rate * seconds)):
            due = begun + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            pending.append(pool.submit(once, due))
        return [item.result() for item in pending]


def measure(server: str, address: str, load: str, *, rate: float, seconds: float) -> Row:
    if load:
        with heavy(address, load) as heavy_s:
            times = small_calls(address, rate=rate, seconds=seconds)
    else:
        heavy_s = []
        times = small_calls(address, rate=rate, seconds=seconds)
    p50, p99 = np.percentile(times, (50, 99))
    typical = float(np.median(heavy_s)) if heavy_s else 0.0
    return Row(server, load or "idle", len(times), float(p50), float(p99), max(times), typical)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each row")
    parser.add_argument("--rate", type=float, default=100.0, help="small calls a second")
    parser.add_argument("--loads", default=",".join(LOADS), help="some of %(default)s")
    parser.add_argument("--json", action="store_true", help="keep the figures as well")
    parser.add_argument("--heavy", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.heavy:
        run_heavy(given.address, given.heavy)
        return 0
    if given.plain:
        run_plain()
        return 0
    wanted = given.loads.split(",")
    rows: list[Row] = []
    print(f"{'server':11}{'load':42}{'calls':>6}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}"
          f"{'heavy s':>9}{'p99 / idle':>12}")  # fmt: skip
    for server, loads in (
        ("podstream", wanted),
        ("plain", [w for w in wanted if w in PLAIN_LOADS]),
    ):
        with served(server) as address:
            idle = 0.0
            for load in ("", *loads):
                row = measure(server, address, load, rate=given.rate, seconds=given.seconds)
                idle = idle or row.p99_ms
                rows.append(row)
                print(f"{server:11}{LOADS.get(load, 'idle'):42}{row.calls:6}{row.p50_ms:8.1f}"
                      f"{row.p99_ms:8.1f}{row.max_ms:8.1f}{row.heavy_s:9.2f}"
                      f"{row.p99_ms / idle:12.1f}", flush=True)  # fmt: skip
    if given.json:
        keep(__file__, [asdict(row) for row in rows])
    own = [row for row in rows if row.server == "podstream"]
    worst = max((row.p99_ms / own[0].p99_ms for row in own[1:]), default=1.0)
    verdict = "kept" if worst <= TARGET else "MISSED"
    print(f"target: p99 under load <= {TARGET:g} x idle: {verdict} (worst {worst:.1f} x)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
