"""Which members of a session's spec the cluster's CRD knows.

A merge patch with a member that the CRD lacks is pruned in silence: the plugin looks first and says
what is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from podstream_kubectl.errors import Refused
from podstream_kubectl.kubectl import Api

_OPENAPI: Final = "/openapi/v3/apis/podstream.dev/v1alpha1"
"""Readable by every authenticated user, unlike the CRD itself."""
_SESSION_SUFFIX: Final = ".StreamSession"


def require_member(api: Api, path: Sequence[str]) -> None:
    """Make sure that `spec.<path>` exists in the cluster.

    Raises:
        Refused: it does not; names the first member that is missing.
    """
    node: Any = session_schema(api)
    for index, name in enumerate(("spec", *path)):
        members = node.get("properties") or {}
        if name not in members:
            wanted = ".".join(("spec", *path))
            missing = ".".join(("spec", *path)[: index + 1])
            raise Refused(
                f"the StreamSession CRD of this cluster has no {missing}, so {wanted} cannot be "
                "set: upgrade podstream (kubectl apply --server-side --force-conflicts -f crds/, "
                "then helm upgrade)"
            )
        node = members[name]


def session_schema(api: Api) -> Mapping[str, Any]:
    """Schema of a StreamSession as the API server publishes it.

    Raises:
        Refused: the API is not there.
    """
    schemas = api.raw(_OPENAPI)["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith(_SESSION_SUFFIX):
            found: Mapping[str, Any] = schema
            return found
    raise Refused("the cluster publishes no StreamSession: try kubectl podstream doctor")
