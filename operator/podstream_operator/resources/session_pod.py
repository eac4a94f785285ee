"""The session pod: one container, the agent as its process 1."""

from typing import Any, Final

from podstream_core import names, ports
from podstream_core.api import CommonSpec, StreamPool, StreamSession
from podstream_operator.resources.egress import dials_label, egress_labels
from podstream_operator.resources.ending import grace_seconds
from podstream_operator.resources.image import SessionImage
from podstream_operator.resources.metadata import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    child_labels,
    owner_reference,
    user_entries,
)
from podstream_operator.resources.names import session_pod_name
from podstream_operator.resources.own_volumes import own_volumes
from podstream_operator.resources.quantities import merge_resources
from podstream_operator.resources.shape import pod_shape

SCRATCH_SIZE: Final = "256Mi"
"""Upper bound of /tmp: artefacts of a session (tables, plots, recordings without a volume)."""
NODE_LOSS_TOLERATION_S: Final = 10
"""Kubernetes waits 300 s by default before it gives up a pod on a lost node: a live session
cannot wait that long for its replacement or its verdict."""
_NODE_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def build_session_pod(
    session: StreamSession, *, image: SessionImage, restarts: int
) -> dict[str, Any]:
    """The pod for a session that has used so many replacements."""
    metadata: dict[str, Any] = {
        "name": session_pod_name(session, restarts=restarts),
        "namespace": session.metadata.namespace,
        "labels": {
            **user_entries(session.spec.pod.labels),
            **child_labels(session, role=names.ROLE_SESSION),
            **pool_label(session),
            **egress_labels(session.spec),
            names.LABEL_SHAPE: pod_shape(session.spec, image=image),
        },
        "annotations": {
            **user_entries(session.spec.pod.annotations),
            names.ANNOTATION_RESTART: str(restarts),
        },
        "ownerReferences": [owner_reference(session)],
    }
    return _pod(metadata, spec=session.spec, image=image)


def build_warm_pod(pool: StreamPool, *, image: SessionImage) -> dict[str, Any]:
    """A pod that waits in its pool for a session; the API server completes its name."""
    template = pool.spec.template.spec
    metadata: dict[str, Any] = {
        "generateName": f"{pool.metadata.name}-",
        "namespace": pool.metadata.namespace,
        "labels": {
            **user_entries(template.pod.labels),
            **child_labels(pool, role=names.ROLE_SESSION),
            **egress_labels(template),
            names.LABEL_SHAPE: pod_shape(template, image=image),
        },
        "ownerReferences": [owner_reference(pool)],
    }
    annotations = user_entries(template.pod.annotations)
    if annotations:
        metadata["annotations"] = annotations
    return _pod(metadata, spec=template, image=image)


def adoption_patch(
    session: StreamSession, *, pod_uid: str, pool: str, restarts: int
) -> dict[str, Any]:
    """Merge patch that takes a warm pod over from its pool. Its UID and address stay."""
    return {
        "metadata": {
            # A precondition: a pod that was made anew under the name is not the one assigned.
            "uid": pod_uid,
            # The pool's label may have been removed by hand; without it the pod would not count.
            "labels": {names.LABEL_SESSION: session.metadata.name, names.LABEL_POOL: pool},
            "annotations": {names.ANNOTATION_RESTART: str(restarts)},
            "ownerReferences": [owner_reference(session)],
        }
    }


def pool_label(session: StreamSession) -> dict[str, str]:
    """The label by which a pod of a session counts as one of the pool that the session names."""
    reference = session.spec.pool_ref
    return {} if reference is None else {names.LABEL_POOL: reference.name}


def _pod(metadata: dict[str, Any], *, spec: CommonSpec, image: SessionImage) -> dict[str, Any]:
    knobs = spec.pod
    own = own_volumes(spec)
    # Volumes are written by the group of the images' user; without any nothing has to be owned.
    group = {"fsGroup": POD_SECURITY["runAsGroup"]} if own.volumes else {}
    body: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_seconds(spec),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**POD_SECURITY, **group},
        "tolerations": _tolerations(knobs.tolerations),
        "containers": [_container(spec, mounts=own.mounts, image=image)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": SCRATCH_SIZE}},
            *own.volumes,
        ],
    }
    optional: dict[str, Any] = {
        "nodeSelector": knobs.node_selector,
        "affinity": knobs.affinity,
        "topologySpreadConstraints": knobs.topology_spread_constraints,
        "priorityClassName": knobs.priority_class_name,
        "runtimeClassName": knobs.runtime_class_name,
        "imagePullSecrets": knobs.image_pull_secrets,
    }
    body.update({key: value for key, value in optional.items() if value})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body}


def _container(
    spec: CommonSpec, *, mounts: list[dict[str, Any]], image: SessionImage
) -> dict[str, Any]:
    wanted = spec.pod.resources
    return {
        "name": names.AGENT_CONTAINER,
        "image": image.image_for(spec),
        "imagePullPolicy": image.pull_policy,
        "env": [
            _from_field(names.ENV_POD_UID, "metadata.uid"),
            _from_field(names.ENV_POD_NAME, "metadata.name"),
            _from_field(names.ENV_POD_NAMESPACE, "metadata.namespace"),
            _from_field(names.ENV_POD_IP, "status.podIP"),
            {"name": names.ENV_PUBLIC_KEYS, "value": image.public_keys},
            # Loaded before any session is assigned: a warm pod has no imports left to do.
            {"name": names.ENV_WORKLOADS, "value": ",".join(spec.workloads)},
            {"name": "PODSTREAM_LOG_LEVEL", "value": image.log_level},
            {"name": "PODSTREAM_LOG_FORMAT", "value": image.log_format},
            *_router(spec, image=image),
        ],
        "ports": [
            {"name": "control", "containerPort": ports.AGENT_CONTROL_PORT, "protocol": "TCP"},
            {"name": "connect", "containerPort": ports.AGENT_CONNECT_PORT, "protocol": "TCP"},
            {"name": "stream", "containerPort": ports.AGENT_STREAM_PORT, "protocol": "TCP"},
        ],
        "resources": merge_resources(
            requests=wanted.requests if wanted else {},
            limits=wanted.limits if wanted else {},
            default_requests=image.requests,
            default_limits=image.limits,
        ),
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "control"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        # Generous: a session whose encoder has taken all CPU is slow, not dead.
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "control"},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePath": names.TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
    }


def _router(spec: CommonSpec, *, image: SessionImage) -> list[dict[str, Any]]:
    """Where a pod that reaches another session finds the router."""
    return [{"name": names.ENV_ROUTER_URL, "value": image.router_url}] if dials_label(spec) else []


def _tolerations(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The session's tolerations, and short ones for a lost node where it names none."""
    named = {item.get("key") for item in wanted}
    return [
        *wanted,
        *(
            {
                "key": taint,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": NODE_LOSS_TOLERATION_S,
            }
            for taint in _NODE_TAINTS
            if taint not in named
        ),
    ]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
