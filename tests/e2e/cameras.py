"""Cameras that session pods pull from: pods of the cluster, and a real RTSP server beside it."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e import kube

ROOT = Path(__file__).parents[2]
PORT = 8554
_SERVER = ROOT / "tests/fakes/rtsp_server.py"
_SERVE = f"from rtsp_server import Camera; Camera(host='0.0.0.0', port={PORT}); input()"
_GSTREAMER = Path(__file__).with_name("gstreamer_camera.py")
_DEBIAN_PYTHON = "/usr/bin/python3"
_NEEDS = (
    "GStreamer's RTSP server is not installed: apt-get install gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly python3-gi"
)


def session_image() -> str:
    """The image of session pods: it has all that a camera needs."""
    operator = kube.get("deployment", "podstream-operator")
    assert operator is not None
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    found = {item["name"]: item.get("value", "") for item in container["env"]}
    image: str = found["PODSTREAM_SESSION_IMAGE"]
    return image


@contextmanager
def camera_pods(*roles: str) -> Iterator[dict[str, str]]:
    """Pods that serve `/live` by RTSP, labelled `camera: <role>`; their addresses by role."""
    mark = secrets.token_hex(3)
    image = session_image()
    data = {_SERVER.name: _SERVER.read_text()}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"camera-{mark}"}}
    kube.apply({**settings, "data": data})
    names = {role: f"camera-{role}-{mark}" for role in roles}
    try:
        for role, name in names.items():
            kube.apply(_pod(name, role=role, image=image, script=f"camera-{mark}"))
        pods = [f"pod/{name}" for name in names.values()]
        kube.kubectl("wait", *pods, "--for=condition=Ready", "--timeout=90s")
        yield {role: _address(name) for role, name in names.items()}
    finally:
        for name in names.values():
            kube.kubectl("delete", "pod", name, "--ignore-not-found", "--now", "--wait=false")
        kube.delete("configmap", f"camera-{mark}")


def _pod(name: str, *, role: str, image: str, script: str) -> dict[str, Any]:
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    container = {
        "name": "camera",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _SERVE],
        "stdin": True,
        "env": [{"name": "PYTHONPATH", "value": "/camera"}],
        "readinessProbe": probe,
        "volumeMounts": [{"name": "script", "mountPath": "/camera"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"camera": role}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "script", "configMap": {"name": script}}],
            "terminationGracePeriodSeconds": 0,
        },
    }


def _address(name: str) -> str:
    pod = kube.get("pod", name)
    assert pod is not None
    address: str = pod["status"]["podIP"]
    return address


@contextmanager
def permitted(*sources: dict[str, Any]) -> Iterator[None]:
    """The installation lets session pods pull from these; from none at the end."""
    _upgrade(sources)
    try:
        yield
    finally:
        _upgrade(())


def _upgrade(sources: Sequence[dict[str, Any]]) -> None:
    command = ["helm", "upgrade", "podstream", str(ROOT / "helm/podstream"), "--reuse-values"]
    command += ["--namespace", kube.NAMESPACE, "--wait", "--timeout", "120s"]
    command += ["--set-json", f"networkPolicy.sources={json.dumps(list(sources))}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def gstreamer_camera() -> Iterator[tuple[str, int]]:
    """GStreamer's own RTSP server at the first node's address, where the cluster's pods see it.

    Skips, and says what to do, where it is not installed or the cluster is another one.
    """
    node = os.environ.get("PODSTREAM_NODE_IP")
    if node is None:
        pytest.skip("only nodes of the embedded cluster are on this machine: CLUSTER=embedded")
    look = "import gi; gi.require_version('GstRtspServer', '1.0')"
    known = subprocess.run([_DEBIAN_PYTHON, "-c", look], check=False, capture_output=True)
    if known.returncode:
        pytest.skip(_NEEDS)
    port = 18554
    command = ["nsenter", f"--net={_network_of(node)}", "--", _DEBIAN_PYTHON, str(_GSTREAMER)]
    with subprocess.Popen(
        [*command, node, str(port)], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "serving\n"
            yield node, port
        finally:
            server.kill()


def _network_of(address: str) -> Path:
    """The network namespace of this machine that has an address."""
    for found in sorted(Path("/run/netns").iterdir()):
        command = ["nsenter", f"--net={found}", "--", "ip", "-oneline", "address"]
        shown = subprocess.run(command, check=False, capture_output=True, text=True)
        if f" {address}/" in shown.stdout:
            return found
    pytest.fail(f"no network namespace of this machine has {address}")
