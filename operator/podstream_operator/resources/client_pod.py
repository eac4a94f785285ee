"""The built-in client's pod: a headless client that connects like any other, by the router."""

import json
from typing import Any, Final

from podstream_core import names
from podstream_core.api import StreamSession
from podstream_operator.resources.access_secret import has_secret
from podstream_operator.resources.image import SessionImage
from podstream_operator.resources.metadata import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    child_labels,
    owner_reference,
)
from podstream_operator.resources.names import client_pod_name, secret_name

CLIENT_COMMAND: Final = "podstream-client"
ENV_CLIENT_URL: Final = "PODSTREAM_CLIENT_URL"
ENV_CLIENT_TOKEN: Final = "PODSTREAM_CLIENT_TOKEN"
ENV_CLIENT_SPEC: Final = "PODSTREAM_CLIENT_SPEC"


def build_client_pod(
    session: StreamSession, *, image: SessionImage, url: str, restarts: int
) -> dict[str, Any]:
    """The client that plays `url`, the session's WHEP endpoint inside the cluster."""
    knobs = session.spec.pod
    # The image comes from the same registry; where the session may run says nothing on its client.
    pull_secrets = (
        {"imagePullSecrets": knobs.image_pull_secrets} if knobs.image_pull_secrets else {}
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": client_pod_name(session, restarts=restarts),
            "namespace": session.metadata.namespace,
            "labels": child_labels(session, role=names.ROLE_CLIENT),
            "ownerReferences": [owner_reference(session)],
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": names.CLIENT_CONTAINER,
                    "image": image.image,
                    "imagePullPolicy": image.pull_policy,
                    "command": [CLIENT_COMMAND],
                    "env": _environment(session, image=image, url=url),
                    "resources": {
                        "requests": dict(image.requests),
                        "limits": dict(image.limits),
                    },
                    "securityContext": CONTAINER_SECURITY,
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
            **pull_secrets,
        },
    }


def _environment(session: StreamSession, *, image: SessionImage, url: str) -> list[dict[str, Any]]:
    environment: list[dict[str, Any]] = [{"name": ENV_CLIENT_URL, "value": url}]
    if has_secret(session):
        reference = {"name": secret_name(session), "key": names.SECRET_TOKEN_KEY}
        environment.append({"name": ENV_CLIENT_TOKEN, "valueFrom": {"secretKeyRef": reference}})
    if session.spec.circle is not None:
        spec = json.dumps(session.spec.circle.to_body(), sort_keys=True, separators=(",", ":"))
        environment.append({"name": ENV_CLIENT_SPEC, "value": spec})
    return [
        *environment,
        {"name": "PODSTREAM_LOG_LEVEL", "value": image.log_level},
        {"name": "PODSTREAM_LOG_FORMAT", "value": image.log_format},
    ]
