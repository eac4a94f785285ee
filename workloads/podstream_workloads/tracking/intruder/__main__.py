"""An edge or a cloud without Kubernetes; `--help` describes everything."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from podstream_workloads.tracking.edge.detectors.make import make_detector
from podstream_workloads.tracking.edge.settings import DetectorSettings, Method
from podstream_workloads.tracking.intruder import (
    CloudClient,
    CloudClientSettings,
    CloudService,
    CloudSettings,
    IntruderEdge,
    IntruderEdgeSettings,
)
from podstream_workloads.tracking.intruder.devices.logs import set_up
from podstream_workloads.tracking.intruder.recognisers.local.recogniser import LocalRecogniser

_EXAMPLES: Final = """\
examples:
  python -m podstream_workloads.tracking.intruder cloud --gallery gallery.npz
  python -m podstream_workloads.tracking.intruder edge --cloud http://127.0.0.1:5000
  UVICORN_PORT=5002 CLOUD_URL=http://cloud:5000 python -m podstream_workloads.tracking.intruder edge
"""


def parse(arguments: Sequence[str], *, environment: Mapping[str, str]) -> argparse.Namespace:
    """The options; wrong ones end the process with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m podstream_workloads.tracking.intruder",
        description="Serve an edge or a cloud of intruder detection.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True)
    edge = parts.add_parser("edge", help="cameras and alarms dial in by Socket.IO")
    edge.add_argument(
        "--cloud", metavar="URL", default=environment.get("CLOUD_URL", "http://127.0.0.1:5000"),
        help="address of the cloud (CLOUD_URL; http://127.0.0.1:5000)",
    )  # fmt: skip
    edge.add_argument(
        "--detector", choices=[each.value for each in Method], default=Method.HOG.value,
        # Motion is for one camera: it compares frames, and here those of all cameras come.
        help="what finds people (Hog); Motion only with a single camera",
    )  # fmt: skip
    edge.add_argument("--model", type=Path, metavar="FILE", help="of the detector Onnx")
    edge.add_argument("--evidence", type=Path, metavar="FOLDER", help="keep intruders' pictures")
    cloud = parts.add_parser("cloud", help="POST /detect_intruder, GET /health")
    cloud.add_argument(
        "--gallery", type=Path, metavar="FILE", default=environment.get("GALLERY", "gallery.npz"),
        help="made by podstream-faces (GALLERY; gallery.npz)",
    )  # fmt: skip
    for part, port in ((edge, "5001"), (cloud, "5000")):
        part.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        part.add_argument(
            "--port", type=int, default=environment.get("UVICORN_PORT", port),
            help=f"port to listen on (UVICORN_PORT; {port})",
        )  # fmt: skip
        part.add_argument("--upload-page", action="store_true", help="serve the upload page at /")
        part.add_argument("--log-dir", type=Path, metavar="FOLDER", help="log to files there, too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the process is told to end."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given, environment=os.environ)
    set_up(folder=options.log_dir)
    asyncio.run(run(options))
    return 0


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    part: IntruderEdge | CloudService = (
        _edge(options) if options.part == "edge" else _cloud(options)
    )
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await part.open()
    runner = web.AppRunner(part.app(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port).start()
        await ended.wait()
    finally:
        await runner.cleanup()
        await part.close()


def _edge(options: Any) -> IntruderEdge:
    model = {} if options.model is None else {"model": options.model}
    detector = make_detector(DetectorSettings(method=Method(options.detector), **model))
    return IntruderEdge(
        IntruderEdgeSettings(evidence=options.evidence, upload_page=options.upload_page),
        detector=detector,
        cloud=CloudClient(CloudClientSettings(url=options.cloud)),
    )


def _cloud(options: Any) -> CloudService:
    return CloudService(
        CloudSettings(upload_page=options.upload_page),
        recogniser=LocalRecogniser(options.gallery),
    )


if __name__ == "__main__":
    sys.exit(main())
