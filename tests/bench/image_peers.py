"""The servers of `bench_image_transport.py`, each as a process: `python image_peers.py KIND`.

* `tcp`: a plain socket in Python that takes bytes.
* `stock`: `RotateImage` by generated classes, on the server's default threads.
* `bare`: grpcio alone, with handlers of raw bytes that take a stream and drop it, take
  its checksum, give one message again and again, or send a message back: what any service in
  Python on this library can reach at best. `bare-untuned` is the same with malloc as it comes.
* `tuned`, `untuned`: the session's server, with malloc as the pod sets it and as it comes.
"""

import concurrent.futures
import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc

from imageops.server import LIMITS
from podstream_workloads.imageops.limits import CHUNK_BYTES, MIB
from podstream_workloads.imageops.service.server import ImageServer, keep_freed_memory
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.wire import image_pb2

KINDS: Final = ("tcp", "stock", "bare-untuned", "bare", "untuned", "tuned")
UNLIMITED: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
_HOST: Final = "127.0.0.1"
_THREADS: Final = 8
_ROOMY: Final = replace(
    LIMITS, max_pixels=400_000_000, max_upload_bytes=1024 * MIB, memory_bytes=4096 * MIB
)


@dataclass(frozen=True)
class Peer:
    """A server that runs."""

    address: str
    pid: int


@contextmanager
def peer(kind: str) -> Iterator[Peer]:
    """A server of one of `KINDS` for the block."""
    command = [sys.executable, __file__, kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Peer(process.stdout.readline().strip(), process.pid)
        finally:
            if kind == "tcp":
                process.terminate()
            process.communicate()


def _serve(port: int) -> None:
    """Say where, until standard input ends."""
    print(f"{_HOST}:{port}", flush=True)
    sys.stdin.read()


def _run_tcp() -> None:
    with socket.create_server((_HOST, 0)) as server:
        print(f"{_HOST}:{server.getsockname()[1]}", flush=True)
        buffer = bytearray(CHUNK_BYTES)
        while True:
            connection, _ = server.accept()
            with connection:
                while connection.recv_into(buffer):
                    pass
                connection.sendall(b"x")


def _run_generic(service: str, methods: dict[str, Any]) -> None:
    generic = grpc.method_handlers_generic_handler(service, methods)
    threads = concurrent.futures.ThreadPoolExecutor(_THREADS)
    server = grpc.server(threads, [generic], options=UNLIMITED)
    port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    _serve(port)
    server.stop(None)


def _run_stock() -> None:
    rotate: Any = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: request.image,
        image_pb2.NLImageRotateRequest.FromString,
        image_pb2.NLImage.SerializeToString,
    )
    _run_generic("NLImageService", {"RotateImage": rotate})


def _run_bare(*, is_tuned: bool) -> None:
    if is_tuned:
        keep_freed_memory()
    chunk = bytes(CHUNK_BYTES)

    def take(messages: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for _ in messages:
            pass
        yield b"x"

    def check(messages: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        for message in messages:
            hasher.update(message)
        yield hasher.digest()

    def give(message: bytes, _context: Any) -> Iterator[bytes]:
        for _ in range(int(message)):
            yield chunk

    methods: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(lambda message, _context: message),
        "Take": grpc.stream_stream_rpc_method_handler(take),
        "Check": grpc.stream_stream_rpc_method_handler(check),
        "Give": grpc.unary_stream_rpc_method_handler(give),
    }
    _run_generic("Bare", methods)


def _run_service(*, is_tuned: bool) -> None:
    if is_tuned:
        keep_freed_memory()
    server = ImageServer(_ROOMY, statistics=Statistics())
    _serve(server.open(f"{_HOST}:0"))
    server.close()


def main() -> None:
    """Run one of `KINDS`, the only argument."""
    servers: dict[str, Callable[[], None]] = {
        "tcp": _run_tcp,
        "stock": _run_stock,
        "bare-untuned": lambda: _run_bare(is_tuned=False),
        "bare": lambda: _run_bare(is_tuned=True),
        "untuned": lambda: _run_service(is_tuned=False),
        "tuned": lambda: _run_service(is_tuned=True),
    }
    servers[sys.argv[1]]()


if __name__ == "__main__":
    main()
