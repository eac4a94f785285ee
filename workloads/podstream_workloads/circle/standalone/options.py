"""Flags and environment of the original's programs; a flag that is given always wins."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 50051
_RADIUS, _WIDTH, _HEIGHT, _VELOCITY = 20, 640, 480, 3
_DP, _MIN_DIST = 6.0, 8.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`podstream-circle server`."""

    host: str
    port: int
    velocity: int
    """Pixels per frame along each axis."""
    radius: int
    width: int
    height: int
    display: bool


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """`podstream-circle client`."""

    host: str
    port: int
    dp: float
    min_dist: float
    display: bool


def parse(
    arguments: Sequence[str] | None, *, environment: Mapping[str, str]
) -> ServerOptions | ClientOptions:
    """Read the command line; exits with 2 and the reason where it is not usable."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        if given.program == "server":
            host, port = _address(
                given, environment.get("HOST_TO_LISTEN"), environment.get("PORT_TO_LISTEN")
            )
            return ServerOptions(
                host,
                port,
                given.velocity,
                given.radius,
                given.resolutionWidth,
                given.resolutionHeight,
                given.display,
            )
        service = environment.get("SERVER_SERVICE_NAME", "")
        host, port = _address(
            given,
            environment.get(f"{service}_SERVICE_HOST") if service else None,
            environment.get(f"{service}_SERVICE_PORT") if service else None,
        )
        return ClientOptions(host, port, given.dp, given.minDist, given.display)
    except ValueError as error:
        parser.error(str(error))


def _address(given: argparse.Namespace, host: str | None, port: str | None) -> tuple[str, int]:
    """Flags before environment before defaults, each of the two for itself."""
    chosen = given.port if given.port is not None else port or DEFAULT_PORT
    try:
        number = int(chosen)
    except ValueError as error:
        raise ValueError(f"the port must be a number, not {chosen!r}") from error
    if not 0 < number < 1 << 16:
        raise ValueError(f"the port must lie in 1-65535, not {number}")
    return given.host or host or DEFAULT_HOST, number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podstream-circle",
        description="The ball tracker's programs without Kubernetes: the server streams a bouncing "
        "ball over WebRTC and scores what the client says about it.",
        epilog="examples:\n  podstream-circle server -n 0.0.0.0 -p 50051 -v 5 -r 40\n"
        "  podstream-circle client -n localhost -p 50051 --dp 1.5 --minDist 100",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    programs = parser.add_subparsers(dest="program", required=True, metavar="server|client")
    server = programs.add_parser("server", help="offer the ball to one client at a time")
    server.add_argument("-n", "--host", help="address to listen on (else $HOST_TO_LISTEN)")
    server.add_argument("-p", "--port", type=int, help="TCP port (else $PORT_TO_LISTEN, 50051)")
    server.add_argument(
        "-v", "--velocity", type=_whole(0, 100), default=_VELOCITY, help="pixels per frame"
    )
    server.add_argument("-r", "--radius", type=_whole(4, 500), default=_RADIUS, help="pixels")
    server.add_argument("-rh", "--resolutionHeight", type=_even(64, 2160), default=_HEIGHT)
    server.add_argument("-rw", "--resolutionWidth", type=_even(64, 3840), default=_WIDTH)
    client = programs.add_parser("client", help="play a server's ball and send estimates")
    client.add_argument("-n", "--host", help="server (else ${SERVER_SERVICE_NAME}_SERVICE_HOST)")
    client.add_argument(
        "-p", "-port", "--port", type=int, help="TCP port (else ..._SERVICE_PORT, 50051)"
    )
    client.add_argument("--dp", type=float, default=_DP, help="cv2.HoughCircles dp")
    client.add_argument("--minDist", type=float, default=_MIN_DIST, help="its minDist, pixels")
    for program in (server, client):
        program.add_argument("-d", "--display", action="store_true", help="show windows")
        program.add_argument("-nd", "--no-display", dest="display", action="store_false")
        program.set_defaults(display=False)
    return parser


class _whole:  # noqa: N801 - argparse prints the name of the type
    """A whole number within bounds."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, text: str) -> int:
        value = int(text)
        if not self._low <= value <= self._high:
            raise argparse.ArgumentTypeError(f"must lie in {self._low}-{self._high}, not {value}")
        return value


class _even(_whole):  # noqa: N801 - argparse prints the name of the type
    """An even number within bounds: video of 4:2:0 has pairs of rows and columns."""

    def __call__(self, text: str) -> int:
        value = super().__call__(text)
        if value % 2:
            raise argparse.ArgumentTypeError(f"must be even, not {value}")
        return value
