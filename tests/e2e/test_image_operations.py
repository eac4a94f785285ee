"""Image operations on the cluster: clients, router, session pods and results in status."""

import base64
import json
import re
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from e2e import kube, pictures
from e2e.cutting_proxy import cutting_proxy
from e2e.http import post_offer
from e2e.pools import pool
from e2e.sessions import Session, circle, session
from imageops import hostile
from imageops.server import Images, collect, noise, raw, requests
from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

TURN = pb.Operation(turn=pb.Turn(quarters=1))
MIB = 1 << 20


@pytest.fixture(scope="module")
def ready() -> Iterator[Session]:
    """A session with a token that nobody keeps connected."""
    spec = {
        "imageOps": {},
        "pod": pictures.SMALL,
        "reconnectSeconds": 600,
        "resultsIntervalSeconds": 1,
    }
    with session(spec, prefix="pictures") as made:
        made.wait_phase("Ready")
        yield made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), noise(60, 40)[:, :, ::-1])
    return path


def read(path: Path) -> Any:
    return np.asarray(cv2.imread(str(path)))[:, :, ::-1]


def call(images: Images, picture: Any, **header: Any) -> Any:
    return collect(images.process(requests(picture.tobytes(), input=raw(picture), **header)))


def failure(images: Images, picture: Any, **header: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(images, picture, **header)
    return caught.value


def until_connected(made: Session) -> Any:
    """A connection to a session whose last one may still be ending."""

    def attempt() -> bool:
        with pictures.connected(made, token=made.token()) as images:
            try:
                images.get_limits(pb.GetLimitsRequest(), timeout=10)
            except grpc.RpcError as error:
                failed: Any = error
                assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, failed
                return False
            return True

    kube.until(attempt, what=f"a place in {made.name}")


def test_files_chains_and_results_in_status(ready: Session, photo: Path) -> None:
    target = photo.with_name("out.webp")
    arguments = ["--input", str(photo), "--output", str(target), "--lossless"]
    code, text = pictures.run(
        ready, *arguments, "--apply", "turn=1,resize=20x0", token=ready.token()
    )
    assert (code, text) == (0, "")
    assert read(target).shape == (30, 20, 3)

    def arrived() -> dict[str, Any]:
        found = pictures.figures(ready)
        return found if found.get("operations", {}).get("resize") else {}

    found = kube.until(arrived, what="figures in status.results.imageOps")
    assert found["calls"] >= 1
    assert found["operations"]["turn"] >= 1
    assert found["bytesIn"] >= photo.stat().st_size
    assert found["bytesOut"] >= target.stat().st_size
    assert 0 < found["latencyMs"]["p50"] <= found["latencyMs"]["p99"]


def test_without_or_with_a_wrong_token_a_call_is_unauthenticated(ready: Session) -> None:
    for token in (None, "nonsense", "a.b.c"):
        with pictures.connected(ready, token=token) as images:
            error = failure(images, noise(4, 4))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED, error.details()


def test_an_unknown_session_is_not_found(ready: Session) -> None:
    stranger = Session(f"none-{secrets.token_hex(3)}")
    terms = [("podstream-session", f"{kube.NAMESPACE}/{stranger.name}")]
    with grpc.insecure_channel(":".join(pictures.address(ready))) as channel:
        images = Images(channel, metadata=terms)
        assert failure(images, noise(4, 4)).code() is grpc.StatusCode.NOT_FOUND


def test_health_and_reflection_through_the_router(ready: Session) -> None:
    until_connected(ready)
    terms = [
        ("podstream-session", f"{kube.NAMESPACE}/{ready.name}"),
        ("authorization", f"Bearer {ready.token()}"),
    ]
    with grpc.insecure_channel(":".join(pictures.address(ready))) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        wanted = health_pb2.HealthCheckRequest(service="NLImageService")
        answer = health.Check(wanted, metadata=terms, timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="NLImageService"),
        ]
        listed, described = reflection.ServerReflectionInfo(iter(asked), metadata=terms, timeout=20)
        names = {item.name for item in listed.list_services_response.service}
        assert {"NLImageService", "ImageService", "podstream.image.v1.Images"} <= names
        file = descriptor_pb2.FileDescriptorProto.FromString(
            described.file_descriptor_response.file_descriptor_proto[0]
        )
        assert "NLImageService" in {item.name for item in file.service}


def test_hostile_pictures_cost_one_call_each(ready: Session) -> None:
    until_connected(ready)
    bombs = {
        "png-bomb": hostile.png_of_zeros(30_000, 30_000, bits=1, colour=0),
        "truncated": hostile.encoded(".png")[:200],
        "scan-bomb": hostile.jpeg_of_scans(500),
        "page": b"<html></html>",
    }
    with pictures.connected(ready, token=ready.token()) as images:
        for name, data in bombs.items():
            begun = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                collect(images.process(requests(data, operations=[TURN]), timeout=30))
            error: Any = caught.value
            assert error.code() in (
                grpc.StatusCode.INVALID_ARGUMENT,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            ), (name, error.details())
            assert time.monotonic() - begun < 5, name
            assert call(images, noise(8, 8), operations=[TURN]).result.size == 192

    def counted() -> bool:
        rejected = pictures.figures(ready).get("rejected", {})
        return sum(int(rejected.get(key, 0)) for key in ("invalid", "tooLarge")) >= len(bombs)

    kube.until(counted, what="all refusals in status")
    assert sum(item["restarts"] for item in [ready.status["pod"]]) == 0


def test_a_client_that_stops_reading_holds_nobody_up(ready: Session) -> None:
    until_connected(ready)
    large = noise(4000, 3000)
    with pictures.connected(ready, token=ready.token()) as images:
        call(images, noise(8, 8), operations=[TURN])
        stalled = images.process(requests(large.tobytes(), input=raw(large), operations=[TURN]))
        assert next(stalled).WhichOneof("part") == "result"  # and not one byte more is read
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            assert call(images, noise(8, 8), operations=[TURN]).result.size == 192
            slowest = max(slowest, time.monotonic() - begun)
        stalled.cancel()
    print(f"slowest small call beside the stalled one: {slowest * 1000:.0f} ms")
    assert slowest < 5


def test_unchanged_clients_of_the_port_get_a_pod_each_and_then_busy() -> None:
    """A pool as the port's default: host and port are all that the client knows."""
    template: dict[str, Any] = {"circle": None, "imageOps": {}, "pod": pictures.SMALL}
    template |= {"resultsIntervalSeconds": 1, "reconnectSeconds": 1}
    with pool(template=template, warm=1, max=1, listeners=["grpc"]) as made:
        made.wait(warm=1)
        with pictures.stock_client(made, "--seconds", "60") as first:
            assert first.stdout is not None
            answer = json.loads(first.stdout.readline())
            assert answer == {
                "code": "OK",
                "turned": [4, 3, [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9]],
                "mean": [2, 2, 3, 3, 4, 4, 6, 7, 7, 8, 8, 9],
            }
            with pictures.stock_client(made, "--service", "ImageService") as second:
                out, _ = second.communicate(timeout=60)
            refused = json.loads(out)
            assert refused["code"] == "RESOURCE_EXHAUSTED", refused
            (own,) = made.sessions()
            kube.until(lambda: pictures.figures(own).get("calls") == 2, what="both calls counted")
            operations = pictures.figures(own)["operations"]
            assert (operations["turn"], operations["mean"]) == (1, 1)
            first.kill()
        own.wait_phase("Completed")
        assert pictures.figures(own)["calls"] == 2

        def served() -> bool:
            with pictures.stock_client(made, "--service", "ImageService") as third:
                return bool(json.loads(third.communicate(timeout=60)[0])["code"] == "OK")

        kube.until(served, what="a pod for the next client")


def test_circle_and_pictures_in_one_pod(tmp_path: Path, photo: Path) -> None:
    """Each has a place for the client of the token and for nobody else; both come to status."""
    spec = {"circle": circle(frames=120), "imageOps": {}, "resultsIntervalSeconds": 1}
    with session(spec, prefix="both") as made:
        made.wait_phase("Ready")
        token, others = made.token(), token_of_another_client(made)
        with made.playing() as player:
            made.wait_phase("Connected")
            assert busy_for(made, others) == ("RESOURCE_EXHAUSTED", 503), "pictures has a place"
            arguments = ["--input", str(photo), "--output", str(tmp_path / "o.png"), "--mean"]
            code, text = pictures.run(made, *arguments, token=token)
            assert code == 0, text
            with pictures.connected(made, token=token) as images:
                kube.until(lambda: _takes(images), what="a place for pictures")
                with pictures.connected(made, token=token) as other:
                    error = failure(other, noise(4, 4))
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert busy_for(made, others) == ("RESOURCE_EXHAUSTED", 503)
                assert _takes(images), "the client has noticed nothing"
            player.communicate(timeout=90)
        made.wait_phase("Completed")
        assert made.circle["framesScored"] >= 100
        assert pictures.figures(made)["operations"]["mean"] == 1
        assert made.status["workloads"] == "circle,imageOps"


def token_of_another_client(made: Session) -> str:
    """A second token for the session, as somebody else may be given one."""
    secret = kube.get("secret", "podstream-keys")
    assert secret is not None
    key = SigningKey.from_pem(base64.b64decode(secret["data"]["client.pem"]))
    uid = made.body["metadata"]["uid"]
    return key.sign(TokenType.CLIENT, audience=CLIENT_AUDIENCE, subject=uid)


def busy_for(made: Session, token: str) -> tuple[str, int]:
    """What the holder of a token is answered by the pictures' and by the ball's side."""
    with pictures.connected(made, token=token) as images:
        error = failure(images, noise(4, 4))
    return error.code().name, post_offer(made.endpoint(), token=token).status


def _takes(images: Images) -> bool:
    try:
        return bool(call(images, noise(4, 4)).result.size)
    except grpc.RpcError:
        return False


def test_a_batch_is_worked_through_without_a_client() -> None:
    names = [f"photo-{number:02}.png" for number in range(11)]
    data = {name: hostile.encoded(".png", noise(20, 10, seed=i)) for i, name in enumerate(names)}
    data["broken.png"] = data["photo-00.png"][:60]
    config = f"photos-{secrets.token_hex(3)}"
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": config},
            "binaryData": {name: base64.b64encode(file).decode() for name, file in data.items()},
        }
    )
    batch = {"input": {"configMap": config}, "operations": ["turn=1", "resize=5x0"]}
    spec = {"imageOps": {"batch": batch}, "pod": pictures.SMALL, "lingerSeconds": 60}
    try:
        with session(spec, prefix="batch") as made:
            made.wait_phase("Completed")
            found = pictures.figures(made)["batch"]
            assert (found["total"], found["done"], found["failed"]) == (12, 11, 1)
            assert found["bytesIn"] == sum(len(file) for file in data.values())
            first, *others = found["items"]
            assert len(others) == 9
            assert (first["name"], bool(first["error"])) == ("broken.png", True)
            assert [item["name"] for item in others] == names[:9]
            assert all(item["size"] and len(item["sha256"]) == 64 for item in others)
            assert pictures.figures(made)["operations"]["resize"] == 11
            assert pictures.figures(made)["rejected"]["invalid"] == 1
    finally:
        kube.delete("configmap", config)


def test_a_pod_that_goes_ends_the_call_as_unavailable() -> None:
    slow = [pb.Operation(gaussian=pb.Gaussian(sigma=40))] * 20
    # An explicit maximum: by sloMs this chain would be refused.
    spec = {"imageOps": {"maxPixels": 10_000_000}, "pod": pictures.SMALL}
    with session(spec, prefix="gone") as made:
        made.wait_phase("Ready")
        picture = noise(3000, 2000)
        with pictures.connected(made, token=made.token()) as images:
            running = images.process(
                requests(picture.tobytes(), input=raw(picture), operations=slow, progress=True)
            )
            next(running)
            kube.delete("pod", made.status["pod"]["name"], wait=False)
            with pytest.raises(grpc.RpcError) as caught:
                list(running)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error.details()


def test_an_upload_that_is_killed_at_99_percent_goes_on(tmp_path: Path) -> None:
    """300 MB: the process is killed and its connection reset; at most 1 MiB goes twice."""
    source, target = tmp_path / "scan.tiff", tmp_path / "out.png"
    picture = np.tile(noise(1000, 1000), (10, 10, 1))
    cv2.imwrite(str(source), picture[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    size = source.stat().st_size
    assert size > 300_000_000
    limits = {"maxPixels": 110_000_000, "maxUploadMiB": 400, "memoryMiB": 2100}
    resources = {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"memory": "3Gi"}}
    spec = {"imageOps": limits, "pod": {"resources": resources}, "reconnectSeconds": 60}
    arguments = ["--input", str(source), "--output", str(target), "--name", "scan"]
    arguments += ["--apply", "crop=50x40+7+5", "--progress", "lines"]
    with session(spec, prefix="resume") as made:
        made.wait_phase("Ready")
        token = made.token()
        host, port = pictures.address(made)
        with cutting_proxy((host, int(port))) as proxy:
            where = ("127.0.0.1", str(proxy.port))
            with pictures.command(made, *arguments, token=token, where=where) as first:
                proxy.on_cut = first.kill
                proxy.cut_at = int(0.99 * size)
                first.communicate(timeout=120)
            assert first.returncode == -signal.SIGKILL
            with pictures.command(made, *arguments, token=token, where=where) as second:
                _, text = second.communicate(timeout=120)
            assert second.returncode == 0, text
            sent = proxy.from_clients
        continued = re.search(r"continuing at (\d+) of", text)
        assert continued is not None, text
        # HTTP/2 frames of 16 KiB have 9 bytes each, and the other calls are small.
        framing = size // 1000
        print(f"continued at {continued[1]} of {size}; {sent} bytes sent: {sent - size:+}")
        assert size < sent <= size + MIB + framing
        assert np.array_equal(read(target), picture[5:45, 7:57])
