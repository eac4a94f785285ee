"""`make demo SAMPLE=intruder`: cameras, an alarm, an edge and a cloud, and what came of it."""

import json
from dataclasses import dataclass
from typing import Any, Final

from podstream_dev.intruder import objects
from podstream_dev.intruder.cluster import Cluster
from podstream_dev.shell import DevError, say, step

MOST_CAMERAS: Final = 12
"""Each is a pod that encodes pictures; more than a demo's cluster carries says nothing."""
_PATIENCE_S: Final = 180.0
_ALARM_LINE: Final = "Intruder detected"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the site's status and its alarm say at the end; numbers of frames but for alarms."""

    cameras: int
    frames: int
    processed: int
    known: int
    strangers: int
    undetermined: int
    alarms_sent: int
    alarms_heard: int
    edge_reachable: bool
    """By a device, through the router."""
    cloud_reachable: bool
    """By a device, in any way, which must not be."""

    @property
    def faults(self) -> list[str]:
        """Why this is not what was drawn; empty where it is."""
        checks = {
            f"{self.frames - self.processed} frames were not processed": (
                self.frames == self.processed > 0
            ),
            f"{self.known} frames with a known face from {self.cameras} cameras": (
                self.known >= self.cameras
            ),
            "the stranger was not seen": self.strangers > 0,
            "a known face was taken for a stranger's": self.strangers <= objects.SHOWN,
            "the alarm stayed silent": self.alarms_heard > 0,
            "devices cannot reach the edge": self.edge_reachable,
            "devices can reach the cloud": not self.cloud_reachable,
        }
        return [fault for fault, holds in checks.items() if not holds]

    def __str__(self) -> str:
        return (
            f"{self.cameras} cameras: {self.processed} of {self.frames} frames processed; "
            f"known faces {self.known}, strangers {self.strangers}, undetermined "
            f"{self.undetermined}; alarms {self.alarms_sent} sent, {self.alarms_heard} heard; "
            f"devices reach the cloud: {'YES' if self.cloud_reachable else 'no'}"
        )


def play(cluster: Cluster, *, cameras: int) -> Outcome:
    """Set the scene up, let every camera show its clip once, and read what came of it.

    Leaves the sessions for looking at (they end by themselves); devices are removed.

    Raises:
        DevError: a part did not start or did not end.
    """
    if not 1 <= cameras <= MOST_CAMERAS:
        raise DevError(f"CAMERAS={cameras}: give 1 to {MOST_CAMERAS}")
    clear(cluster)
    with step("gallery of four drawn faces (podstream-faces train)"):
        _train(cluster)
    with step("cloud and edge"):
        cluster.apply(*objects.sessions())
        cluster.wait_phase(objects.CLOUD, phase="Ready", timeout_s=_PATIENCE_S)
        cluster.wait_phase(objects.EDGE, phase="Ready", timeout_s=_PATIENCE_S)
    names = [f"intruder-camera-{number}" for number in range(1, cameras + 1)]
    with step(f"{cameras} cameras show their clips, an alarm listens"):
        cluster.apply(objects.policy(), objects.alarm())
        cluster.wait_pods(["intruder-alarm"], phase="Running", timeout_s=_PATIENCE_S)
        cluster.apply(*(objects.camera(n, count=cameras) for n in range(1, cameras + 1)))
        reaches_edge = cluster.reaches(objects.ROUTER, objects.EDGE_PORT, pod="intruder-alarm")
        reaches_cloud = _device_reaches_cloud(cluster)
        cluster.wait_pods(names, phase="Succeeded", timeout_s=_PATIENCE_S)
    lines = cluster.kubectl("logs", "intruder-alarm").splitlines()
    with step("figures of the edge"):
        cluster.kubectl("delete", "pod", "-l", _selector(objects.DEVICES), "--wait=true")
        cluster.wait_phase(objects.EDGE, phase="Completed", timeout_s=_PATIENCE_S)
    edge = _figures(cluster)
    return Outcome(
        cameras=cameras,
        frames=edge.get("frames", 0),
        processed=edge.get("processed", 0),
        known=edge.get("known", 0),
        strangers=edge.get("unknown", 0),
        undetermined=edge.get("undetermined", 0),
        alarms_sent=edge.get("intruders", 0),
        # Its log says the same once more, behind a date.
        alarms_heard=sum(line.startswith(_ALARM_LINE) for line in lines),
        edge_reachable=reaches_edge,
        cloud_reachable=reaches_cloud,
    )


def clear(cluster: Cluster) -> None:
    """Remove what an earlier demo left."""
    for labels in (objects.DEVICES, objects.PARTS):
        cluster.kubectl(
            "delete", "strs,pods,pvc,configmaps,networkpolicies", "-l", _selector(labels)
        )
    cluster.kubectl("delete", "pv", "-l", _selector(objects.PARTS))


def _train(cluster: Cluster) -> None:
    has_class = cluster.has_default_class()
    cluster.apply(
        objects.drawn(),
        *objects.storage(has_default_class=has_class),
        objects.trainer(has_default_class=has_class),
    )
    cluster.wait_pods(["intruder-trainer"], phase="Succeeded", timeout_s=_PATIENCE_S)
    say(cluster.kubectl("logs", "intruder-trainer").strip().splitlines()[-1])


def _device_reaches_cloud(cluster: Cluster) -> bool:
    """By the pod's own ports, or by the router, which would ask for the cloud's token."""
    address = cluster.pod_address(session=objects.CLOUD)
    ways = [
        (address, 9441),
        (address, 9442),
        (objects.ROUTER, 8080),
        (objects.ROUTER, 5000),
    ]
    return any(cluster.reaches(host, port, pod="intruder-alarm") for host, port in ways)


def _figures(cluster: Cluster) -> dict[str, Any]:
    results = cluster.status(objects.EDGE).get("results") or {}
    edge: dict[str, Any] = (results.get("tracking") or {}).get("edge") or {}
    say(f"$ kubectl get strs {objects.EDGE} -o jsonpath={{.status.results.tracking.edge}}")
    print(json.dumps(edge, indent=2))
    return edge


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())
