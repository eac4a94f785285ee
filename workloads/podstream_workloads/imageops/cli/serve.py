"""`podstream-image serve`: both services on an address of this machine."""

import signal
import sys
import threading

import msgspec

from podstream_core.api import ImageOps
from podstream_workloads.imageops.cli.errors import CommandError, Exit
from podstream_workloads.imageops.cli.options import ServeOptions
from podstream_workloads.imageops.limits import ServiceLimits
from podstream_workloads.imageops.service.server import ImageServer, keep_freed_memory
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.workers.pool import PoolClosed


def run(options: ServeOptions) -> None:
    """Serve until a signal comes; then print the figures.

    Raises:
        CommandError: the address cannot be bound, or no worker process can be started.
    """
    spec = ImageOps(
        workers=options.workers,
        memory_mib=options.memory_mib,
        slo_ms=options.slo_ms,
        max_pixels=options.max_pixels,
        max_message_mib=options.max_message_mib,
        max_upload_mib=options.max_upload_mib,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    keep_freed_memory()
    statistics = Statistics()
    server = ImageServer(ServiceLimits.of(spec), statistics=statistics)
    try:
        try:
            host = f"[{options.host}]" if ":" in options.host else options.host
            port = server.open(f"{host}:{options.port}")
        except (PoolClosed, RuntimeError) as error:
            raise CommandError(
                Exit.FILES, f"cannot serve on {options.host} port {options.port}: {error}"
            ) from error
        if not server.pool.is_confined:
            _say("no filter of system calls for decoders on this machine")
        _say(f"serving on {host}:{port}")
        stop.wait()
    finally:
        server.close()
    figures = msgspec.json.format(msgspec.json.encode(statistics.results().to_body()))
    sys.stdout.write(figures.decode() + "\n")


def _say(text: str) -> None:
    print(f"podstream-image: {text}", file=sys.stderr, flush=True)  # noqa: T201 - to its user
