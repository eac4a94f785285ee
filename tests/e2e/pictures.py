"""Sessions with image operations in tests, and clients of them."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from e2e import kube
from e2e.cutting_proxy import cutting_proxy
from e2e.pools import Pool
from e2e.sessions import Session
from imageops.server import Images

ROOT = Path(__file__).resolve().parents[2]
CLIENT = str(Path(sys.executable).parent / "podstream-image")
STOCK_CLIENT = Path(__file__).with_name("stock_image_client.py")
SMALL: dict[str, Any] = {"resources": {"requests": {"cpu": "20m", "memory": "128Mi"}}}


def address(target: Session | Pool) -> tuple[str, str]:
    """Host and port of the gRPC endpoint, as status.endpoints names it."""
    (url,) = [item["url"] for item in target.status["endpoints"] if item["protocol"] == "gRPC"]
    scheme, _, rest = str(url).partition("://")
    assert scheme == "grpc"
    host, _, port = rest.rpartition(":")
    return host, port


def figures(made: Session) -> dict[str, Any]:
    """`status.results.imageOps`."""
    found: dict[str, Any] = (made.status.get("results") or {}).get("imageOps") or {}
    return found


@contextmanager
def connected(made: Session, *, token: str | None = None) -> Iterator[Images]:
    """podstream.image.v1 of a session, on a connection of its own."""
    terms = [("podstream-session", f"{kube.NAMESPACE}/{made.name}")]
    terms += [("authorization", f"Bearer {token}")] if token else []
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
    ]
    with grpc.insecure_channel(":".join(address(made)), options=options) as channel:
        yield Images(channel, metadata=terms)


def command(
    made: Session,
    *arguments: str,
    token: str,
    where: tuple[str, str] | None = None,
    wrapper: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[str]":
    """`podstream-image` as a process of this machine.

    Args:
        made: the session.
        arguments: beside host, port and session.
        token: of the session.
        where: another host and port than the session's; two empty ones: none are given.
        wrapper: a program that runs the command.
        pass_fds: what the wrapper inherits.
    """
    host, port = where or address(made)
    target = ["--host", host, "--port", port] if port else []
    target += ["--session", f"{kube.NAMESPACE}/{made.name}"]
    return subprocess.Popen(
        [*wrapper, CLIENT, *target, *arguments],
        env={"PODSTREAM_IMAGE_TOKEN": token, "PATH": "/usr/bin:/bin"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
    )


def run(made: Session, *arguments: str, token: str) -> tuple[int, str]:
    """Exit code and standard error of `podstream-image`."""
    with command(made, *arguments, token=token) as process:
        _, err = process.communicate(timeout=120)
    return process.returncode, err


_LISTEN_AND_RUN = """if True:
    import fcntl, os, socket, struct, sys
    up = struct.pack("16sh14x", b"lo", 0x41)  # IFF_UP | IFF_RUNNING
    fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
    server = socket.create_server(("127.0.0.1", 50051))
    with socket.socket(fileno=int(sys.argv[1])) as test:
        socket.send_fds(test, [b"listening"], [server.fileno()])
    os.execv(sys.argv[2], sys.argv[2:])
"""


def run_on_the_default_port(made: Session, *arguments: str) -> tuple[int, str]:
    """The command without host and port: its port 50051 is nobody else's and leads to the router.

    The port may be taken on this machine, so the command gets a network of its own, where the only
    address is 127.0.0.1; the listening socket comes out of it.
    """
    host, port = address(made)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inside = [sys.executable, "-c", _LISTEN_AND_RUN, str(theirs.fileno())]
        running = command(
            made,
            *arguments,
            token=made.token(),
            where=("", ""),
            wrapper=["unshare", "--net", *inside],
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        with running as process:
            _, fds, _, _ = socket.recv_fds(ours, 100, 1)
            with cutting_proxy((host, int(port)), server=socket.socket(fileno=fds[0])):
                _, err = process.communicate(timeout=120)
    return process.returncode, err


def stock_client(target: Session | Pool, *arguments: str) -> "subprocess.Popen[str]":
    """The client of the public exercise: it knows host and port."""
    host, port = address(target)
    proto = str(ROOT / "proto" / "image.proto")
    return subprocess.Popen(
        [
            sys.executable,
            STOCK_CLIENT,
            "--host",
            host,
            "--port",
            port,
            "--proto",
            proto,
            *arguments,
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
