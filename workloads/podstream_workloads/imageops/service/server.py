"""The gRPC server of one session: both services, health and reflection."""

import concurrent.futures
import ctypes
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from podstream_workloads.imageops.limits import MESSAGE_OVERHEAD_BYTES, ServiceLimits
from podstream_workloads.imageops.service import compat, v1
from podstream_workloads.imageops.service.engine import Engine
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.wire import image_pb2, podstream_image_v1_pb2
from podstream_workloads.imageops.workers.pool import PoolSettings, WorkerPool
from podstream_workloads.imageops.workers.segments import SegmentPool

_EXTRA_THREADS: Final = 4
"""For health and reflection while all calls are taken."""
_MAX_METADATA_BYTES: Final = 16 * 1024
_WAITING_PER_CALL: Final = 1
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


class ImageServer:
    """Workers, services and the server in front of them."""

    def __init__(self, limits: ServiceLimits, *, statistics: Statistics) -> None:
        self._limits = limits
        self._pool = WorkerPool(
            PoolSettings(
                workers=limits.workers,
                memory_bytes=limits.memory_bytes,
                cpu_s=limits.cpu_s,
                max_waiting=limits.max_calls * _WAITING_PER_CALL,
            )
        )
        self._segments = SegmentPool(keep_bytes=limits.memory_bytes // 4)
        self.engine = Engine(
            limits=limits, pool=self._pool, segments=self._segments, statistics=statistics
        )
        self._v1 = v1.ImagesService(self.engine)
        self._health = health.HealthServicer()
        self._server: grpc.Server | None = None
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    @property
    def pool(self) -> WorkerPool:
        """The worker processes."""
        return self._pool

    def open(self, address: str) -> int:
        """Start the workers and serve; blocks until both are there.

        Args:
            address: `unix:<path>` or `<host>:<port>`, port 0 for any free one.

        Returns:
            The port, or 1 for a unix socket.

        Raises:
            PoolClosed: no worker process can be started.
            RuntimeError: the address cannot be bound.
        """
        self._pool.open()
        most = self._limits.max_message_bytes + MESSAGE_OVERHEAD_BYTES
        # Calls above the limit are refused by gRPC itself, before a thread takes them.
        self._threads = concurrent.futures.ThreadPoolExecutor(
            self._limits.max_calls + _EXTRA_THREADS, thread_name_prefix="image-call"
        )
        self._server = grpc.server(
            self._threads,
            maximum_concurrent_rpcs=self._limits.max_calls + _EXTRA_THREADS,
            options=[
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", most),
                ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
                ("grpc.so_reuseport", 0),
            ],
        )
        self._add_services(self._server)
        port = self._server.add_insecure_port(address)
        self._server.start()
        return port

    def close(self, *, grace_s: float = 0.5) -> None:
        """End all calls and workers."""
        self._health.enter_graceful_shutdown()
        if self._server is not None:
            self._server.stop(grace_s).wait()
        self._pool.close()
        self._v1.close()
        if self._threads is not None:
            self._threads.shutdown()
        self.engine.close()
        self._segments.close()

    def _add_services(self, server: grpc.Server) -> None:
        handlers = {**compat.CompatService(self.engine).handlers(), **self._v1.handlers()}
        for service, methods in handlers.items():
            generic = grpc.method_handlers_generic_handler(service, dict(methods))
            server.add_generic_rpc_handlers((generic,))
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [
            *(item.full_name for item in image_pb2.DESCRIPTOR.services_by_name.values()),
            *(
                item.full_name
                for item in podstream_image_v1_pb2.DESCRIPTOR.services_by_name.values()
            ),
            health.SERVICE_NAME,
            reflection.SERVICE_NAME,
        ]
        reflection.enable_server_reflection(names, server)


def keep_freed_memory() -> None:
    """Have malloc keep what is freed for the next message instead of returning it page by page.

    Returned pages come back as faults: four to five times slower for messages of 1 MiB. The memory
    stays bounded by the calls at a time; musl has no such settings and is left alone.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        libc.mallopt(_M_TOP_PAD, 64 << 20)
