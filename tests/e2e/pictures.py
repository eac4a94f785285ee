"""Sessions with image operations in tests, and clients of them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from e2e import kube
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
    made: Session, *arguments: str, token: str, where: tuple[str, str] | None = None
) -> "subprocess.Popen[str]":
    """`podstream-image` as a process of this machine; `where`: another host and port."""
    host, port = where or address(made)
    target = ["--host", host, "--port", port, "--session", f"{kube.NAMESPACE}/{made.name}"]
    return subprocess.Popen(
        [CLIENT, *target, *arguments],
        env={"PODSTREAM_IMAGE_TOKEN": token, "PATH": "/usr/bin:/bin"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(made: Session, *arguments: str, token: str) -> tuple[int, str]:
    """Exit code and standard error of `podstream-image`."""
    with command(made, *arguments, token=token) as process:
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
