"""Builders of everything that the operator creates. Pure: a session in, a dict out."""

from podstream_operator.resources.access_secret import (
    build_access_secret,
    has_secret,
    has_view_token,
)
from podstream_operator.resources.client_pod import build_client_pod
from podstream_operator.resources.ending import finish_seconds
from podstream_operator.resources.image import SessionImage
from podstream_operator.resources.names import (
    client_pod_name,
    secret_name,
    session_pod_name,
)
from podstream_operator.resources.session_pod import (
    adoption_patch,
    build_session_pod,
    build_warm_pod,
)
from podstream_operator.resources.shape import pod_shape

__all__ = [
    "SessionImage",
    "adoption_patch",
    "build_access_secret",
    "build_client_pod",
    "build_session_pod",
    "build_warm_pod",
    "client_pod_name",
    "finish_seconds",
    "has_secret",
    "has_view_token",
    "pod_shape",
    "secret_name",
    "session_pod_name",
]
