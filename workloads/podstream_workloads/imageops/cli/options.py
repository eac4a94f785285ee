"""Flags and environment of `podstream-image`; a flag that is given always wins."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from podstream_core.api import SessionKey
from podstream_core.ports import LISTENERS
from podstream_workloads.imageops.chain import SYNTAX, ChainTextError, parse_chain
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = next(item.port for item in LISTENERS if item.name == "grpc")
ROTATIONS: Final = ("NONE", "NINETY_DEG", "ONE_EIGHTY_DEG", "TWO_SEVENTY_DEG")
"""Counter-clockwise; the place is the number in the protocol, and the quarter turns."""
FORMATS: Final[Mapping[str, tuple[pb.Format, tuple[str, ...]]]] = {
    "png": (pb.FORMAT_PNG, (".png",)),
    "jpeg": (pb.FORMAT_JPEG, (".jpg", ".jpeg")),
    "webp": (pb.FORMAT_WEBP, (".webp",)),
    "tiff": (pb.FORMAT_TIFF, (".tif", ".tiff")),
    "raw": (pb.FORMAT_RAW, (".raw",)),
}
"""Format of a result -> its number and its file names' endings."""
_TOKEN_VARIABLE: Final = "PODSTREAM_IMAGE_TOKEN"

_EPILOG: Final = f"""examples:
  # as the original's client: turn and filter a picture, write it into a folder
  podstream-image --input photo.png --output turned/ --rotate NINETY_DEG --mean
  # a chain of operations, another format
  podstream-image --input photo.jpg --output small.webp --apply turn=1,resize=800x0,gaussian=1.5
  # a session of the cluster by name, with the token from its Secret
  podstream-image --host 10.0.0.7 --port 30051 --session default/pictures --token-file token \\
      --input photo.png --output gray.png --apply gray
  # a large picture whose upload goes on where it broke off: run the same line again
  podstream-image --session default/pictures --token-file token --name scan-7 \\
      --input scan.tiff --output scan.png --apply resize=4000x0
  # the services on this machine, without Kubernetes
  podstream-image serve --host 0.0.0.0 --port 50051

{SYNTAX}

output: an existing folder or a path that ends in / takes <name>_Meaned_rot90.<ending> and the like;
anything else is the file itself. The result's format follows the ending.

environment: {_TOKEN_VARIABLE} (the session's token)

exit codes: 0 done; 1 the server failed over the picture; 2 wrong usage; 3 a file cannot be read or
written, or is no picture; 4 the picture or what is asked for is refused; 5 no such session, or not
with this token; 6 busy, or above a limit; 7 the server cannot be reached or has gone; 8 too late;
130 interrupted
"""
_SERVE_EPILOG: Final = """examples:
  podstream-image serve
  podstream-image serve --host 0.0.0.0 --port 50051 --workers 4 --memory-mib 2048

Ctrl-C or SIGTERM ends it; the figures are printed as JSON. No token is asked for: whoever reaches
the address may use it.
exit codes: 0 ended in order; 2 wrong usage; 3 the address cannot be bound
"""


class Service(StrEnum):
    """Which service is called."""

    NL = "NLImageService"
    PLAIN = "ImageService"
    IMAGES = "podstream.image.v1"


class ProgressStyle(StrEnum):
    """How progress is shown on standard error."""

    AUTO = "auto"
    """A bar on a terminal, for pictures of some size."""
    BAR = "bar"
    LINES = "lines"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the calls go."""

    address: str
    session: SessionKey | None
    token: str | None
    timeout_s: float
    """For each call."""
    tls: bool = False
    roots: bytes | None = None
    """Certificates that the server's is checked against, PEM; those of the system without them."""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        found = []
        if self.session is not None:
            found.append(("podstream-session", str(self.session)))
        if self.token is not None:
            found.append(("authorization", f"Bearer {self.token}"))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What to do with which picture."""

    target: Target
    service: Service
    input: Path
    output: str
    rotation: int
    mean: bool
    operations: tuple[pb.Operation, ...]
    format: str
    """Of the result; empty: by the output's ending."""
    quality: int
    lossless: bool
    keep_depth: bool
    name: str
    """Under which the upload is kept; empty: one call, no upload."""
    restart: bool
    progress: ProgressStyle

    @property
    def chain(self) -> list[pb.Operation]:
        """Everything that is to be done, for podstream.image.v1."""
        turn = [pb.Operation(turn=pb.Turn(quarters=self.rotation))] if self.rotation else []
        mean = [pb.Operation(mean=pb.Mean())] if self.mean else []
        return [*turn, *mean, *self.operations]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where and within which bounds to serve."""

    host: str
    port: int
    workers: int
    memory_mib: int
    slo_ms: int
    max_pixels: int | None
    max_message_mib: int
    max_upload_mib: int


def parse(
    arguments: Sequence[str], *, environment: Mapping[str, str]
) -> ClientOptions | ServeOptions:
    """Read the command line; exits with 2 and the reason where it is not usable."""
    if arguments[:1] == ["serve"]:
        return ServeOptions(**vars(_serve_parser().parse_args(arguments[1:])))
    parser = _client_parser()
    given = parser.parse_args(arguments)
    operations = tuple(item for chain in given.apply for item in chain)
    special = {
        "--apply": operations,
        "--name": given.name,
        "--format": given.format,
        "--quality": given.quality,
        "--lossless": given.lossless,
        "--keep-depth": given.keep_depth,
    }
    wanted = [flag for flag, value in special.items() if value]
    service = given.service or (Service.IMAGES if wanted else Service.NL)
    if wanted and service is not Service.IMAGES:
        parser.error(f"{', '.join(wanted)} needs --service {Service.IMAGES.value}")
    if given.restart and not given.name:
        parser.error("--restart needs --name")
    try:
        token = environment.get(_TOKEN_VARIABLE) or None
        if given.token_file is not None:
            token = given.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--token-file: {error}")
    try:
        roots = given.ca.read_bytes() if given.ca is not None else None
    except OSError as error:
        parser.error(f"--ca: {error}")
    target = Target(
        address=_address(given.host, given.port),
        session=given.session,
        token=token,
        timeout_s=given.timeout,
        tls=given.tls or roots is not None,
        roots=roots,
    )
    return ClientOptions(
        target=target,
        service=service,
        input=given.input,
        output=given.output,
        rotation=ROTATIONS.index(given.rotate),
        mean=given.mean,
        operations=operations,
        format=given.format,
        quality=given.quality,
        lossless=given.lossless,
        keep_depth=given.keep_depth,
        name=given.name,
        restart=given.restart,
        progress=given.progress,
    )


def _client_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podstream-image",
        description="Sends a picture to an image service and writes the result. With --rotate and "
        "--mean alone it speaks NLImageService, otherwise podstream.image.v1. "
        "`podstream-image serve --help` is about the server.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default=DEFAULT_HOST, help="of the server or router (%(default)s)")
    add("--port", type=_port, default=DEFAULT_PORT, help="%(default)s unless given")
    add("--input", type=Path, required=True, help="png, jpeg, webp, tiff, bmp or gif")
    add("--output", required=True, help="file or folder of the result")
    add(
        "--rotate",
        type=str.upper,
        choices=ROTATIONS,
        default=ROTATIONS[0],
        help="counter-clockwise, before --mean (NONE)",
    )
    add("--mean", action="store_true", help="3x3 mean over existing neighbours")
    own = parser.add_argument_group("podstream.image.v1")
    own.add_argument(
        "--apply", type=_chain, action="append", default=[], metavar="OPERATION[,...]",
        help="operations, after --rotate and --mean; may be repeated",
    )  # fmt: skip
    own.add_argument("--format", choices=tuple(FORMATS), default="", help="of the result")
    own.add_argument("--quality", type=_quality, default=0, help="of jpeg (95) and webp (80)")
    own.add_argument("--lossless", action="store_true", help="webp without loss")
    own.add_argument("--keep-depth", action="store_true", help="keep 16 bits a value")
    own.add_argument(
        "--name",
        default="",
        help="upload under this name first; the same line again goes on where an upload broke off",
    )
    own.add_argument("--restart", action="store_true", help="drop what --name has kept")
    calls = parser.add_argument_group("calls")
    calls.add_argument("--service", type=Service, choices=list(Service), help="which to call")
    calls.add_argument(
        "--session", type=_session, metavar="NAMESPACE/NAME", help="of the cluster; else the port's"
    )
    calls.add_argument("--token-file", type=Path, help="file with the session's token")
    calls.add_argument("--tls", action="store_true", help="by TLS; the certificate is checked")
    calls.add_argument(
        "--ca", type=Path, metavar="FILE", help="by TLS, checked against this PEM, not the system's"
    )
    calls.add_argument(
        "--timeout", type=_seconds, default=300.0, help="seconds for each call (300)"
    )
    calls.add_argument(
        "--progress",
        type=ProgressStyle,
        choices=list(ProgressStyle),
        default=ProgressStyle.AUTO,
        help="on standard error (auto: a bar on a terminal for pictures above 8 MiB)",
    )
    return parser


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podstream-image serve",
        description="Serves both image services on this machine, without Kubernetes.",
        epilog=_SERVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s)")
    add("--port", type=_port, default=DEFAULT_PORT, help="0: any free one (%(default)s)")
    add("--workers", type=_count(2, 32), default=2, help="processes for pictures (2)")
    add("--memory-mib", type=_count(64, 65_536), default=640, help="for all calls (640)")
    add("--slo-ms", type=_count(50, 600_000), default=4000, help="time for a call (4000)")
    add("--max-pixels", type=_count(10_000, 400_000_000), help="instead of what --slo-ms admits")
    add("--max-message-mib", type=_count(4, 512), default=64, help="unary message (64)")
    add("--max-upload-mib", type=_count(1, 8192), default=256, help="streamed picture (256)")
    return parser


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _chain(text: str) -> list[pb.Operation]:
    try:
        return parse_chain(text)
    except ChainTextError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _session(text: str) -> SessionKey:
    try:
        return SessionKey.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected namespace/name, not {text!r}") from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0: {text}")
    return value


class _count:  # noqa: N801 - argparse prints the name of the type
    """A whole number within bounds."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> int:
        value = int(text)
        if not self._least <= value <= self._most:
            raise argparse.ArgumentTypeError(f"{text} is not {self._least} to {self._most}")
        return value


_port = _count(0, 65_535)
_quality = _count(1, 100)


def is_folder(output: str) -> bool:
    """Whether an output names a folder: it exists, or the path ends in a slash."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()
