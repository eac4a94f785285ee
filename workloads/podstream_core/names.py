"""Every name that two parts of podstream must agree on: groups, labels, annotations, paths.

Names are API: renaming one is a breaking change (docs/adr/0002-contract.md).
"""

from typing import Final

GROUP: Final = "podstream.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
SESSION_KIND: Final = "StreamSession"
SESSION_PLURAL: Final = "streamsessions"
POOL_KIND: Final = "StreamPool"
POOL_PLURAL: Final = "streampools"

FIELD_MANAGER: Final = "podstream-operator"

LABEL_SESSION: Final = f"{GROUP}/session"
"""Name of the StreamSession that a pod or Secret belongs to."""
LABEL_ROLE: Final = f"{GROUP}/role"
"""`session` on a server pod, `client` on a built-in client pod."""
LABEL_SHAPE: Final = f"{GROUP}/pod-shape"
"""Hash over everything that is fixed when a pod is created."""
LABEL_POOL: Final = f"{GROUP}/pool"
"""Name of the StreamPool that a pod was started for, or that a connection's session came from."""
LABEL_PULLS: Final = f"{GROUP}/pulls"
"""On a pod that fetches its video itself, what by; such pods may reach what the chart names."""
ANNOTATION_ASSIGNMENT: Final = f"{GROUP}/assignment"
"""On a session that a connection has made: which pod a router has assigned to it, as
`<assignment id>/<pod's name>/<pod's UID>` (`podstream_core.assignment`)."""
ANNOTATION_ARRIVED_AT: Final = f"{GROUP}/arrived-at"
"""On a session that a connection has made: when the connection came, RFC 3339 in UTC."""
ANNOTATION_ORIGIN: Final = f"{GROUP}/origin"
"""On a session that a connection has made: `Warm`, or `Cold` where it waited for a pod's start."""
ANNOTATION_RESTART: Final = f"{GROUP}/restart"
"""On a session's pod: the number of the replacement that it is, from 0."""
ROLE_SESSION: Final = "session"
ROLE_CLIENT: Final = "client"

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"

AGENT_CONTAINER: Final = "session"
CLIENT_CONTAINER: Final = "client"

SECRET_TOKEN_KEY: Final = "token"
"""Key of the client's token inside the session's access Secret."""

SECRET_VIEW_TOKEN_KEY: Final = "viewToken"
"""Key of the token that only lets its holder look on, where the session has pictures to show."""
SHA256_HEADER: Final = "Podstream-Sha256"
"""Response header of a session's file: its SHA-256, hexadecimal."""
MJPEG_BOUNDARY: Final = "podstream-frame"
"""Between the pictures of an MJPEG stream."""
MJPEG_TYPE: Final = f"multipart/x-mixed-replace; boundary={MJPEG_BOUNDARY}"
"""Content type of an MJPEG stream."""

VIEW_CLAIM: Final = "scope"
"""Claim of a client token that limits what it opens."""
VIEW_SCOPE: Final = "view"
"""Its value on a token that opens pictures only."""

ENV_POD_UID: Final = "POD_UID"
ENV_POD_NAME: Final = "POD_NAME"
ENV_POD_NAMESPACE: Final = "POD_NAMESPACE"
ENV_POD_IP: Final = "POD_IP"
ENV_WORKLOADS: Final = "PODSTREAM_WORKLOADS"
"""Workloads whose child processes start before any assignment, comma list."""
ENV_PUBLIC_KEYS: Final = "PODSTREAM_PUBLIC_KEYS"
"""JWK set with the installation's public keys, as JSON."""

VOLUMES_PATH: Final = "/podstream"
"""Folder of a session pod below which the volumes of its session are mounted."""
BATCH_INPUT: Final = "batch/input"
"""Below it: the pictures of spec.imageOps.batch."""
BATCH_OUTPUT: Final = "batch/output"
"""Below it: where their results are written."""
RECORDINGS: Final = "recordings"
"""Below it: the volume of spec.stream.recording."""
SOURCE: Final = "source"
"""Below it: the volume of spec.stream.source.file."""

TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"

CONNECTION_HEADER: Final = "Podstream-Connection"
"""Response header of the agent's connect API: the id of the slot that was taken."""
SESSION_HEADER: Final = "Podstream-Session"
"""Response header of the router's pool path: `namespace/name` of the connection's session."""
TOKEN_HEADER: Final = "Podstream-Token"
"""Response header of the router's pool path: client token of the session that was made."""
