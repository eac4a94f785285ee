"""Recordings of a real cluster's pods in a real S3 server, and played by HLS through the router."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest

from e2e import kube
from e2e.sessions import Session, session
from e2e.streams import figures, url
from e2e.test_image_batch_claims import claim
from fakes import versitygw
from stream.videos import open_video

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.skipif(
        "PODSTREAM_NODE_IP" not in os.environ,
        reason="only nodes of the embedded cluster see folders of this machine",
    ),
]
PORT = 7070
BUCKET = "films"


def server_pod(name: str, volume: str) -> dict[str, Any]:
    router = kube.get("deployment", "podstream-router")
    assert router is not None
    container = {
        "name": "main",
        "image": router["spec"]["template"]["spec"]["containers"][0]["image"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["/data/versitygw", "--port", f":{PORT}", "posix", "/data/buckets"],
        "env": [
            {"name": "ROOT_ACCESS_KEY", "value": versitygw.KEY_ID},
            {"name": "ROOT_SECRET_KEY", "value": versitygw.SECRET},
        ],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": volume}}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
        },
    }


def opened_to(name: str) -> dict[str, Any]:
    """What the chart renders for `networkPolicy.storage`, with the server's pod as its place."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {
                "matchLabels": {"podstream.dev/role": "session", "podstream.dev/stores": "S3"}
            },
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{"podSelector": {"matchLabels": {"app": name}}}],
                    "ports": [{"port": PORT, "protocol": "TCP"}],
                }
            ],
        },
    }


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": PORT}]},
    }


class Server(NamedTuple):
    name: str
    volume: str


def start(name: str, volume: str) -> None:
    kube.apply(server_pod(name, volume))
    kube.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=90s")


@contextmanager
def bucket(folder: Path) -> Iterator[tuple[Server, dict[str, Any], Path]]:
    """A server in the cluster: its names, what a spec says of it, and the folder of its bucket."""
    program = versitygw.program()
    name = f"bucket-{secrets.token_hex(3)}"
    keys = {"accessKeyID": versitygw.KEY_ID, "secretAccessKey": versitygw.SECRET}
    with claim(folder) as volume:
        shutil.copy(program, folder / "versitygw")
        films = folder / "buckets" / BUCKET
        films.mkdir(parents=True)
        for path in (films.parent, films):
            path.chmod(0o777)
        try:
            kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name},
                    "stringData": keys,
                }
            )
            kube.apply(service(name))
            kube.apply(opened_to(name))
            start(name, volume)
            found = kube.get("service", name)
            assert found is not None
            yield (
                Server(name, volume),
                {
                    "endpoint": f"http://{found['spec']['clusterIP']}:{PORT}",
                    "bucket": BUCKET,
                    "credentialsSecretRef": {"name": name},
                },
                films,
            )
        finally:
            for kind in ("networkpolicy", "service", "pod", "secret"):
                kube.delete(kind, name, wait=False)


def drawn(s3: dict[str, Any], *, frames: int) -> dict[str, Any]:
    recording = {"codec": "H264", "segmentSeconds": 2, "fileName": "{name}-{index}", "s3": s3}
    source = {"type": "Synthetic", "fps": 20, "frames": frames}
    return {"stream": {"source": source, "recording": recording}, "resultsIntervalSeconds": 1}


def played(address: str) -> int:
    """Frames that FFmpeg's player finds in a playlist."""
    container: Any
    with av.open(address, timeout=60) as container:
        assert container.format.name == "hls"
        return sum(1 for _ in container.decode(video=0))


def test_recording_is_in_the_bucket_when_its_session_ends_and_plays_by_hls(
    tmp_path: Path,
) -> None:
    with (
        bucket(tmp_path / "s3") as (_, s3, films),
        session(drawn(s3, frames=100), prefix="stored") as made,
    ):
        made.wait_phase("Completed")
        found = figures(made)
        assert found["recording"]["frames"] == 100
        upload = found["recording"]["upload"]
        assert upload["files"] == found["recording"]["files"] >= 2
        assert upload.get("waiting", 0) == 0
        for file in found["recordings"]:
            key = file["url"].removeprefix(f"s3://{BUCKET}/")
            assert key == f"{made.body['metadata']['uid']}/{file['name']}"
            data = (films / key).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
            assert open_video(films / key).frames == file["frames"]
        assert found["recording"]["playlist"] == "stream-recording.m3u8"
        assert played(f"{url(made, 'results/stream-recording.m3u8')}?token={made.token()}") == 100


def upload_of(made: Session) -> dict[str, Any]:
    found: dict[str, Any] = figures(made).get("recording", {}).get("upload", {})
    return found


def test_server_that_is_gone_costs_no_frame_and_its_files_wait(tmp_path: Path) -> None:
    with bucket(tmp_path / "s3") as (server, s3, films):
        spec = drawn({**s3, "finishSeconds": 300}, frames=600)
        with session(spec, prefix="outage") as made:
            made.wait_phase("Ready")
            kube.until(lambda: upload_of(made).get("files"), what="the first file in the bucket")
            kube.delete("pod", server.name)
            kube.until(
                lambda: upload_of(made).get("waitingNames") and upload_of(made).get("message"),
                what="files that wait, and why",
                timeout_s=90,
            )
            start(*server)
            made.wait_phase("Completed", timeout_s=240)
            found = figures(made)["recording"]
            assert (found["frames"], found.get("framesDropped", 0)) == (600, 0)
            assert found["upload"]["files"] == found["files"]
            assert "message" not in found["upload"]
            assert len(list(films.glob("*/*.mp4"))) == found["files"]
