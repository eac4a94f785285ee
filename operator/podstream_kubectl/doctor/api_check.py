"""Are the CRDs there, served, and as new as this plugin?"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from podstream_core.api import SessionSpec
from podstream_core.api.session import WORKLOADS
from podstream_core.names import VERSION
from podstream_kubectl.doctor.findings import Finding, broken, ok, unknown, warning
from podstream_kubectl.errors import Forbidden, NotFound
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import POOLS, SESSIONS

_APPLY: Final = "kubectl apply --server-side --force-conflicts -f crds/"


def check_crds(api: Api) -> Iterator[Finding]:
    """Look at both CRDs."""
    for name in (SESSIONS, POOLS):
        check = f"CRD {name}"
        try:
            crd = api.get("customresourcedefinition", name, cluster_wide=True)
        except NotFound:
            yield broken(check, "the CRD is missing", f"{_APPLY} (Helm installs CRDs only once)")
            continue
        except Forbidden:
            yield unknown(check, "you may not read CRDs")
            continue
        yield _judge(check, crd, is_session=name == SESSIONS)


def _judge(check: str, crd: Mapping[str, Any], *, is_session: bool) -> Finding:
    versions = {item["name"]: item for item in crd["spec"]["versions"]}
    version = versions.get(VERSION)
    if version is None or not version.get("served"):
        return broken(check, f"version {VERSION} is not served", _APPLY)
    for condition in (crd.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Established" and condition["status"] != "True":
            return broken(check, f"not established: {condition.get('message', '')}", _APPLY)
        if condition["type"] == "NamesAccepted" and condition["status"] != "True":
            return broken(check, f"names refused: {condition.get('message', '')}", _APPLY)
    missing = _missing_members(version) if is_session else []
    if missing:
        return warning(check, f"older than this plugin: it lacks {', '.join(missing)}", _APPLY)
    return ok(check, f"{VERSION} is served")


def _missing_members(version: Mapping[str, Any]) -> list[str]:
    """Members of the spec that this version of podstream has and the CRD has not."""
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    known = {item.encode_name for item in msgspec.structs.fields(SessionSpec)}
    missing = sorted(known - spec.keys())
    for item in msgspec.structs.fields(SessionSpec):
        if item.encode_name not in WORKLOADS or item.encode_name not in spec:
            continue
        workload = next(
            (
                kind
                for kind in getattr(item.type, "__args__", ())
                if hasattr(kind, "__struct_fields__")
            ),
            None,
        )
        if workload is None:
            continue
        members = {member.encode_name for member in msgspec.structs.fields(workload)}
        there = spec[item.encode_name].get("properties") or {}
        missing += sorted(f"{item.encode_name}.{name}" for name in members - there.keys())
    return missing
