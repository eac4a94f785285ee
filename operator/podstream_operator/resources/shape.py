"""The shape of a session pod: everything that is fixed when the pod is created."""

import hashlib
import json
from typing import Any, Final

from podstream_core.api import CommonSpec
from podstream_operator.resources.egress import (
    asks_label,
    dials_label,
    pulls_label,
    stores_label,
)
from podstream_operator.resources.ending import finish_seconds
from podstream_operator.resources.image import SessionImage
from podstream_operator.resources.own_volumes import own_volumes

_HASH_CHARS: Final = 16


def pod_shape(spec: CommonSpec, *, image: SessionImage) -> str:
    """Digest over what a pod cannot change later; equal digests mean interchangeable pods.

    What the agent learns by its assignment (the workload's settings, timeouts) is no part of it.
    """
    fixed: dict[str, Any] = {
        "image": image.image_for(spec),
        "pullPolicy": image.pull_policy,
        "requests": dict(image.requests),
        "limits": dict(image.limits),
        "publicKeys": image.public_keys,
        "pod": spec.pod.to_body(),
    }
    volumes = own_volumes(spec).volumes
    # What follows is left out where it is empty: the digests of other pods stay what they were.
    if volumes:
        fixed["volumes"] = volumes
    pulls = pulls_label(spec)
    if pulls:
        fixed["pulls"] = pulls
    asks = asks_label(spec)
    if asks:
        fixed["asks"] = asks
    if stores_label(spec):
        fixed["stores"] = finish_seconds(spec)
    if dials_label(spec):
        fixed["router"] = image.router_url
    text = json.dumps(fixed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
