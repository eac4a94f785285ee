"""The shape of a session pod: everything that is fixed when the pod is created."""

import hashlib
import json
from typing import Final

from podstream_core.api import CommonSpec
from podstream_operator.resources.image import SessionImage

_HASH_CHARS: Final = 16


def pod_shape(spec: CommonSpec, *, image: SessionImage) -> str:
    """Digest over what a pod cannot change later; equal digests mean interchangeable pods.

    What the agent learns by its assignment (the workload's settings, timeouts) is no part of it.
    """
    fixed = {
        "image": image.image,
        "pullPolicy": image.pull_policy,
        "requests": dict(image.requests),
        "limits": dict(image.limits),
        "publicKeys": image.public_keys,
        "pod": spec.pod.to_body(),
    }
    text = json.dumps(fixed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
