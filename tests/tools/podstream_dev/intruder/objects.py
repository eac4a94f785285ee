"""Objects of the demo: two sessions, and what stands in the field, as Kubernetes takes them."""

from pathlib import Path
from typing import Any, Final

from podstream_dev import chart
from podstream_dev.images import IMAGES
from podstream_dev.shell import ROOT

CLOUD: Final = "intruder-cloud"
EDGE: Final = "intruder-edge"
LABEL: Final = "podstream.dev/demo"
"""On everything of the demo; devices have their own value, which the policy selects."""
DEVICES: Final = {LABEL: "intruder-devices"}
PARTS: Final = {LABEL: "intruder"}
SHOWN: Final = 4
"""Pictures of each scene that a camera sends."""
_FACES: Final = "intruder-faces"
_DRAWN: Final = "intruder-drawn"
_FOLDER: Final = f"/tmp/podstream-demo/{_FACES}"
ROUTER: Final = f"{chart.RELEASE}-router.{chart.NAMESPACE}"
EDGE_PORT: Final = 5001
"""Of the router, where devices find their edge."""


def sessions() -> list[dict[str, Any]]:
    """The cloud and the edge that asks it."""
    common: dict[str, Any] = {
        "resultsIntervalSeconds": 1,
        "reconnectSeconds": 2,
        "activeDeadlineSeconds": 900,
    }
    gallery = {"claimName": _FACES, "path": "known.npz"}
    edge = {"cloudRef": {"name": CLOUD}, "detector": {"method": "Haar"}}
    return [
        _session(CLOUD, {"tracking": {"recognition": {"gallery": gallery}}, **common}),
        _session(
            EDGE,
            {
                "tracking": {"edge": edge},
                "access": {"mode": "Public"},
                "listeners": ["edge"],
                **common,
            },
        ),
    ]


def drawn() -> dict[str, Any]:
    """The programs that draw faces and clips, for pods to mount."""
    sources = (
        Path(__file__).with_name("drawn.py"),
        ROOT / "tests/tracking/intruder/rendered_faces.py",
    )
    data = {source.name: source.read_text() for source in sources}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(_DRAWN), "data": data}


def storage(*, has_default_class: bool) -> list[dict[str, Any]]:
    """The gallery's claim; and a folder of the node for it where nothing else provides volumes."""
    wanted: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "64Mi"}},
    }
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _named(_FACES)}
    if has_default_class:
        return [{**claim, "spec": wanted}]
    volume = {
        "storageClassName": "",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "64Mi"},
        "hostPath": {"path": _FOLDER, "type": "DirectoryOrCreate"},
        "claimRef": {"namespace": chart.NAMESPACE, "name": _FACES},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": _named(_FACES),
            "spec": volume,
        },
        {**claim, "spec": {**wanted, "storageClassName": "", "volumeName": _FACES}},
    ]


def trainer(*, has_default_class: bool) -> dict[str, Any]:
    """The pod that draws the known persons and makes the gallery of them."""
    learn = (
        "python -B /drawn/drawn.py faces /tmp/faces && "
        "podstream-faces train /tmp/faces --output /faces/known.npz --copies 8"
    )
    pod = _pod("intruder-trainer", labels=PARTS, command=["sh", "-ec", learn])
    spec = pod["spec"]
    spec["volumes"].append({"name": "faces", "persistentVolumeClaim": {"claimName": _FACES}})
    mount = {"name": "faces", "mountPath": "/faces"}
    spec["containers"][0]["volumeMounts"].append(mount)
    if has_default_class:
        spec["securityContext"]["fsGroup"] = 65532
    else:
        # The kubelet makes a node's folder root's, and gives such volumes no group.
        opened = _container("open", ["chmod", "0777", "/faces"])
        opened["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
        opened["volumeMounts"] = [mount]
        spec["initContainers"] = [opened]
    return pod


def policy() -> dict[str, Any]:
    """Devices reach the router's edge port and names, nothing else: not the cloud by any way."""
    router = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": chart.NAMESPACE}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "router"}},
    }
    names = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    asks = [{"port": port, "protocol": "UDP"} for port in (53, 1053)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _named("intruder-devices"),
        "spec": {
            "podSelector": {"matchLabels": DEVICES},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [
                {"to": [router], "ports": [{"port": EDGE_PORT, "protocol": "TCP"}]},
                {"to": [names], "ports": asks},
            ],
        },
    }


def camera(number: int, *, count: int) -> dict[str, Any]:
    """A camera: draws its clip, sends it once, and ends when the edge is through with it."""
    look = (
        f"python -B /drawn/drawn.py clip {number} {count} {SHOWN} /tmp/camera{number}.mp4 && exec "
        f"podstream-camera /tmp/camera{number}.mp4 --send-fps 2 --once"
    )
    return _device(f"intruder-camera-{number}", ["sh", "-ec", look])


def alarm() -> dict[str, Any]:
    """The alarm: prints a line for every alarm until it is deleted."""
    return _device("intruder-alarm", ["podstream-alarm"])


def _device(name: str, command: list[str]) -> dict[str, Any]:
    pod = _pod(name, labels=DEVICES, command=command)
    url = f"http://{ROUTER}:{EDGE_PORT}"
    pod["spec"]["containers"][0]["env"] = [{"name": "EDGE_URL", "value": url}]
    return pod


def _pod(name: str, *, labels: dict[str, str], command: list[str]) -> dict[str, Any]:
    container = _container("main", command)
    container["volumeMounts"] = [
        {"name": "drawn", "mountPath": "/drawn"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "drawn", "configMap": {"name": _DRAWN}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            ],
        },
    }


def _container(name: str, command: list[str]) -> dict[str, Any]:
    (image,) = (image for image in IMAGES if image.name == "session-tracking")
    return {
        "name": name,
        "image": image.tag,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {
            "requests": {"cpu": "50m", "memory": "96Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _session(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _named(name)
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": metadata,
        "spec": spec,
    }


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "labels": PARTS}
