"""The compatible image service through the router, one test for each thing that its users check.

The session is the port's: clients give host and port and nothing else. Both names of the service
are called, with messages that are made from the public definition and not by podstream.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from e2e import kube, pictures
from e2e.sessions import Session, session
from imageops import reflected, slow
from imageops.server import noise
from imageops.test_cli import expected, make_file, read
from imageops.test_compat import GOOD, WRONG, Client, Image, RotateRequest, image_of, picture_of

DELAY_BOUND_S = 1.0
"""A 10x10 turn beside a 4K mean takes less, on a machine that is shared with everything else."""
GRAY = Image(data=bytes(range(12)), width=3, height=4)
COLOUR = Image(color=True, data=bytes(range(36)), width=3, height=4)


@pytest.fixture(scope="module")
def served() -> Iterator[Session]:
    spec = {
        "imageOps": {},
        "access": {"mode": "Public"},
        "listeners": ["grpc"],
        "pod": pictures.SMALL,
        "resultsIntervalSeconds": 1,
    }
    with session(spec, prefix="service") as made:
        made.wait_phase("Ready")
        yield made


@pytest.fixture(scope="module")
def channel(served: Session) -> Iterator[grpc.Channel]:
    """The one connection of the session, held for all tests."""
    options = [
        ("grpc.max_receive_message_length", 64 << 20),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(":".join(pictures.address(served)), options=options) as made:
        yield made


@pytest.fixture(params=["NLImageService", "ImageService"])
def client(channel: grpc.Channel, request: pytest.FixtureRequest) -> Client:
    return Client(channel, request.param)


def turned(client: Client, image: Any, rotation: int) -> Any:
    return client.rotate(RotateRequest(rotation=rotation, image=image))


def rejection(call: Any, request: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value


def test_wire_compatible(client: Client) -> None:
    assert list(turned(client, GRAY, 0).data) == list(range(12))
    assert len(client.mean(COLOUR).data) == 36
    print("RotateImage: 12 gray values as they were; MeanFilter: 36 values of RGB")


@pytest.mark.parametrize("service", ["NLImageService", "ImageService"])
def test_reflection_alone_makes_a_client(channel: grpc.Channel, service: str) -> None:
    assert service in reflected.services(channel)
    methods = reflected.unary_methods(channel, service)
    mean = methods["MeanFilter"]
    answer = mean.call(mean.request(data=bytes(range(12)), width=3, height=4), timeout=20)
    assert list(answer.data) == [2, 2, 3, 3, 4, 4, 6, 7, 7, 8, 8, 9]
    rotate = methods["RotateImage"]
    asked = rotate.request(rotation="NINETY_DEG")
    asked.image.CopyFrom(answer)
    turned = rotate.call(asked, timeout=20)
    assert (turned.width, turned.height) == (4, 3)


def test_rotation_is_counter_clockwise_gray_and_rgb(client: Client) -> None:
    vectors = {
        1: [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9],
        2: [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        3: [9, 6, 3, 0, 10, 7, 4, 1, 11, 8, 5, 2],
    }
    for rotation, values in vectors.items():
        answer = turned(client, GRAY, rotation)
        assert list(answer.data) == values
        assert (answer.width, answer.height) == ((3, 4) if rotation == 2 else (4, 3))
        colours = picture_of(turned(client, COLOUR, rotation))
        assert np.array_equal(colours, np.rot90(picture_of(COLOUR), rotation))
    image = image_of(noise(31, 17))
    for _ in range(4):
        image = turned(client, image, 1)
    assert picture_of(image).tobytes() == noise(31, 17).tobytes()
    print(f"gray and RGB: {', '.join(str(values) for values in vectors.values())}; 4 x 90: same")


def test_mean_filter_at_borders_with_floor(client: Client) -> None:
    assert list(client.mean(GRAY).data) == [2, 2, 3, 3, 4, 4, 6, 7, 7, 8, 8, 9]
    expected = [
        [(6, 7, 8), (7, 8, 9), (9, 10, 11)],
        [(10, 11, 12), (12, 13, 14), (13, 14, 15)],
        [(19, 20, 21), (21, 22, 23), (22, 23, 24)],
        [(24, 25, 26), (25, 26, 27), (27, 28, 29)],
    ]
    assert picture_of(client.mean(COLOUR)).tolist() == [[list(p) for p in r] for r in expected]
    sizes = ((1, 1), (1, 7), (7, 1), (2, 2))
    for width, height in sizes:
        picture = noise(width, height)
        answer = picture_of(client.mean(image_of(picture)))
        assert slow.rows_of(answer) == slow.mean_existing(slow.rows_of(picture))
    print(f"both vectors; {', '.join(f'{w}x{h}' for w, h in sizes)} as counted by hand")


def test_rotate_and_mean_commute(client: Client) -> None:
    for seed in range(5):
        image = image_of(noise(20 + seed, 33 - seed, seed=seed))
        for rotation in range(4):
            one = client.mean(turned(client, image, rotation))
            other = turned(client, client.mean(image), rotation)
            assert one == other
    print("5 random pictures, 4 rotations: equal bytes in either order")


def test_bad_contents_are_invalid_and_the_server_goes_on(client: Client) -> None:
    wrong = [(client.mean, image) for image in WRONG.values()]
    wrong += [(client.rotate, RotateRequest(image=image)) for image in WRONG.values()]
    wrong += [(client.rotate, RotateRequest(rotation=7, image=GOOD))]
    wrong += [(client.rotate, RotateRequest(rotation=1))]
    for call, request in wrong:
        error: Any = rejection(call, request)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error.details()
        assert len(client.mean(GOOD).data) == 12
    print(f"{len(wrong)} wrong messages: INVALID_ARGUMENT; a good one after each: answered")


def test_bad_contents_leave_the_memory_flat(channel: grpc.Channel, served: Session) -> None:
    client = Client(channel)
    huge = WRONG["huge-with-little-data"]
    rejection(client.mean, huge)
    before = served.memory()
    for _ in range(300):
        rejection(client.mean, huge)
    grown = served.memory() - before
    print(f"memory after 300 refusals: {grown / 1e6:+.1f} MB")
    assert grown < 32 << 20


def test_large_images_pass_and_above_the_limit_is_clear(client: Client) -> None:
    picture = noise(3840, 2160)
    answer = picture_of(turned(client, image_of(picture), 2))
    assert np.array_equal(answer, picture[::-1, ::-1])
    too_long = bytes((64 << 20) + 100_000)
    error: Any = rejection(client.mean, Image(data=too_long, width=len(too_long), height=1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in error.details()
    print(
        f"3840x2160 RGB, {picture.nbytes} bytes: turned; {len(too_long)} bytes: {error.details()}"
    )


def test_a_4k_mean_does_not_delay_a_10x10_rotate(channel: grpc.Channel) -> None:
    client = Client(channel)
    big, small = image_of(noise(3840, 2160)), image_of(noise(10, 10))
    done: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            client.mean(big)
            done.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    times: list[float] = []
    try:
        while len(done) < 4:
            begun = time.monotonic()
            turned(client, small, 1)
            times.append(time.monotonic() - begun)
    finally:
        stop.set()
        thread.join()
    median = sorted(times)[len(times) // 2]
    print(f"10x10 beside 4K: median {median * 1e3:.1f} ms, worst {max(times) * 1e3:.0f} ms")
    assert median < DELAY_BOUND_S


@pytest.fixture(scope="module")
def commanded() -> Iterator[Session]:
    """A session for the command: the module's connection has taken the first one."""
    spec = {"imageOps": {}, "pod": pictures.SMALL, "reconnectSeconds": 60}
    with session(spec, prefix="cli") as made:
        made.wait_phase("Ready")
        yield made


def test_client_command_line(commanded: Session, tmp_path: Path) -> None:
    seen = []
    turn = ["--rotate", "ninety_deg", "--mean"]
    for kind in ("gray", "alpha", "deep", "deep-gray", "palette", "jpeg"):
        source, truth = make_file(tmp_path, kind)
        target = tmp_path / f"{kind}-turned.png"
        flags = [*turn, "--input", str(source), "--output", str(target)]
        code, text = run_when_free(commanded, *flags)
        assert code == 0, text
        assert np.array_equal(read(target), expected(truth, 1, is_filtered=True)), kind
        seen.append(f"{kind} {read(target).shape}")
    photo, folder = str(tmp_path / "jpeg.jpg"), tmp_path / "out"
    code, text = run_when_free(commanded, *turn, "--input", photo, "--output", f"{folder}/")
    assert code == 0, text
    (named,) = folder.iterdir()
    assert named.name == "jpeg_Meaned_rot90.jpg"
    wrong = ["--input", photo, "--output", "b.png", "--rotate", "SIDEWAYS"]
    code, text = pictures.run(commanded, *wrong, token=commanded.token())
    assert code == 2
    assert "NINETY_DEG" in text
    print(f"as RGB or gray: {', '.join(seen)}; in a folder: {named.name}; SIDEWAYS: exit {code}")


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
def test_client_command_line_defaults(commanded: Session, tmp_path: Path) -> None:
    """No host, port and rotation: localhost, 50051 and NONE, where only the router's way leads."""
    source, truth = make_file(tmp_path, "gray")
    target = tmp_path / "same.png"

    def attempt() -> int | None:
        arguments = ["--input", str(source), "--output", str(target)]
        code, text = pictures.run_on_the_default_port(commanded, *arguments)
        assert code in (0, 6), text
        return None if code else 1

    kube.until(attempt, what="a place for the command")
    assert np.array_equal(read(target), truth)


def run_when_free(made: Session, *arguments: str) -> tuple[int, str]:
    """The command; again where its last connection has not ended yet."""

    def attempt() -> tuple[int, str] | None:
        code, text = pictures.run(made, *arguments, token=made.token())
        return None if code == 6 else (code, text)

    found = kube.until(attempt, what="a place for the command")
    assert found is not None
    return found


def test_a_decoder_can_make_no_forbidden_call(served: Session) -> None:
    """In the pod, under the kernel's filter of workers, and beside the workers that run there."""
    program = """if True:
        import json, os, pathlib, socket
        from podstream_workloads.imageops.workers.seccomp import confine

        def outcome(call):
            try:
                call()
            except OSError as error:
                return type(error).__name__
            return "allowed"

        reader, writer = os.pipe()
        if os.fork() == 0:
            assert confine()
            calls = (socket.socket, os.fork, lambda: open("/etc/passwd"), lambda: os.kill(1, 0))
            os.write(writer, json.dumps([outcome(call) for call in calls]).encode())
            os._exit(0)
        forbidden = json.loads(os.read(reader, 1000))
        modes = [
            line.split()[1]
            for folder in pathlib.Path("/proc").glob("[0-9]*")
            if b"workers.worker" in (folder / "cmdline").read_bytes()
            for line in (folder / "status").read_text().splitlines()
            if line.startswith("Seccomp:")
        ]
        print(json.dumps([forbidden, modes]))
    """
    name = served.status["pod"]["name"]
    forbidden, modes = json.loads(kube.kubectl("exec", name, "--", "python", "-c", program))
    print(f"socket, fork, open, kill: {forbidden}; seccomp modes of the workers: {modes}")
    assert forbidden == ["PermissionError"] * 4
    assert len(modes) >= 2
    assert set(modes) == {"2"}, "SECCOMP_MODE_FILTER"
