"""Can pools give pods, and did sessions fail lately for a reason of the installation's?"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from podstream_kubectl.doctor.findings import Finding, warning
from podstream_kubectl.installation import Installation, served
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import POOLS, SESSIONS

_OF_THE_SITE: Final = frozenset({"StartupTimeout", "PodRejected", "PodLost", "QuotaExceeded"})
"""Reasons of failed sessions that mostly have nothing to do with the session itself."""


def check_pools(api: Api, installation: Installation) -> Iterator[Finding]:
    """Warn of pools that are not Ready, and of failures that come in numbers."""
    for pool in served(api, installation, kind=POOLS):
        meta = pool["metadata"]
        for condition in (pool.get("status") or {}).get("conditions") or []:
            if condition.get("type") == "Ready" and condition.get("status") == "False":
                yield warning(
                    f"pool {meta['namespace']}/{meta['name']}",
                    f"not Ready: {condition.get('reason')}: {condition.get('message', '')}",
                    f"kubectl -n {meta['namespace']} describe streampool {meta['name']}",
                )
    reasons = Counter(
        (item["metadata"]["namespace"], str((item.get("status") or {}).get("reason")))
        for item in served(api, installation, kind=SESSIONS)
        if (item.get("status") or {}).get("phase") == "Failed"
    )
    for (namespace, reason), count in sorted(reasons.items()):
        if reason in _OF_THE_SITE:
            yield warning(
                f"sessions in {namespace}",
                f"{count} failed with {reason}",
                f"kubectl -n {namespace} get streamsessions -o wide, then kubectl podstream logs",
            )
