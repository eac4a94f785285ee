"""A session as the plugin looks at it: the members that people ask for, read leniently.

Not `podstream_core.api.StreamSession`: a plugin that is older than the cluster must still show what
it knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from podstream_core.api.session import WORKLOADS
from podstream_kubectl.errors import ExitCode, UsageError
from podstream_kubectl.kubectl import Api, Body

SESSIONS: Final = "streamsessions.podstream.dev"
POOLS: Final = "streampools.podstream.dev"


@dataclass(frozen=True, slots=True)
class Session:
    """One StreamSession."""

    body: Body

    @classmethod
    def read(cls, api: Api, name: str) -> Self:
        """Read it from the cluster.

        Raises:
            PluginError: there is none, or it cannot be read.
        """
        return cls(api.get(SESSIONS, name))

    @property
    def _status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.body.get("status") or {}
        return status

    @property
    def namespace(self) -> str:
        """`metadata.namespace`."""
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return str(self.body["metadata"]["uid"])

    @property
    def created(self) -> datetime:
        """When the API server took it, whole seconds."""
        return datetime.fromisoformat(self.body["metadata"]["creationTimestamp"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """`spec` as it is."""
        spec: Mapping[str, Any] = self.body.get("spec") or {}
        return spec

    @property
    def phase(self) -> str:
        """Phase; `Pending` before the operator has seen the session."""
        return str(self._status.get("phase") or "Pending")

    @property
    def reason(self) -> str:
        """Why it ended; empty before."""
        return str(self._status.get("reason") or "")

    @property
    def message(self) -> str:
        """Cause and fix in a sentence; empty where there is none."""
        return str(self._status.get("message") or "")

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.phase in ("Completed", "Failed")

    @property
    def outcome(self) -> ExitCode:
        """Exit code of a session that has ended."""
        return ExitCode.OK if self.phase == "Completed" else ExitCode.FAILED

    @property
    def pod(self) -> str:
        """Name of the session's pod; empty without one."""
        return str((self._status.get("pod") or {}).get("name") or "")

    @property
    def origin(self) -> str:
        """`Warm` or `Cold`; empty before there is a pod."""
        return str((self._status.get("pod") or {}).get("origin") or "")

    @property
    def results(self) -> Mapping[str, Any]:
        """`status.results`; empty before there are any."""
        results: Mapping[str, Any] = self._status.get("results") or {}
        return results

    @property
    def secret(self) -> str:
        """Secret with the client's token; empty for Public sessions."""
        return str((self._status.get("access") or {}).get("secretName") or "")

    @property
    def conditions(self) -> list[Mapping[str, Any]]:
        """`status.conditions`."""
        return list(self._status.get("conditions") or [])

    @property
    def http_endpoint(self) -> str:
        """First URL below the router's for clients outside the cluster; empty without one."""
        urls = [str(item.get("url") or "") for item in self._status.get("endpoints") or []]
        return next((url for url in urls if url.startswith("http") and "/s/" in url), "")

    def figure(self, member: str) -> Any:
        """First result of this name over all workloads; `None` where there is none."""
        for workload in WORKLOADS:
            found = (self.results.get(workload) or {}).get(member)
            if found is not None:
                return found
        return None


def list_sessions(api: Api, *, everywhere: bool = False) -> list[Session]:
    """All sessions of the namespace, or of all namespaces, the oldest first.

    Raises:
        PluginError: they cannot be read.
    """
    scope = ["--all-namespaces"] if everywhere else []
    items = api.get(SESSIONS, *scope, cluster_wide=everywhere)["items"]
    return sorted((Session(item) for item in items), key=lambda item: (item.created, item.name))


def age_of(created: datetime, *, now: datetime) -> str:
    """Age as kubectl writes it: the largest unit, `3d`, `5h`, `12m` or `40s`."""
    seconds = max(0, int((now - created).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `5m` or `2h`.

    Raises:
        UsageError: it is none of these.
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError as error:
        raise UsageError(f"{text!r} is no duration: write 90, 90s, 5m or 2h") from error
    if not 0 <= value < float("inf"):
        raise UsageError(f"{text!r} is no duration: it must not be negative or endless")
    return value
