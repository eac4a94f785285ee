"""Finds operator and router in the cluster, and what they are told by their environment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from podstream_kubectl.errors import Forbidden, Refused
from podstream_kubectl.kubectl import Api, Body

_SELECTOR: Final = "--selector=app.kubernetes.io/name=podstream"
_ALL: Final = "*"
_COMPONENT: Final = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Installation:
    """The Deployments of one installation; `None` where one is not there."""

    namespace: str
    """Where it lives; that of the command where nothing was found."""
    operator: Body | None = None
    router: Body | None = None
    is_partial: bool = False
    """Only the command's namespace could be looked at: what is not here may be elsewhere."""
    others: list[str] = field(default_factory=list)
    """Namespaces of further installations, which are not looked at."""

    def environment(self, component: str) -> dict[str, str]:
        """Plain variables of `operator` or `router`."""
        deployment = self.operator if component == "operator" else self.router
        if deployment is None:
            return {}
        container = container_of(deployment)
        return {
            variable["name"]: str(variable.get("value", ""))
            for variable in container.get("env") or []
            if "valueFrom" not in variable
        }

    @property
    def external_url(self) -> str:
        """Base URL of the router for clients outside the cluster; empty where none is set.

        The chart then gives the Service's address instead, which only pods reach.
        """
        environment = self.environment("operator")
        url = environment.get("PODSTREAM_EXTERNAL_URL", "")
        return "" if url == environment.get("PODSTREAM_ROUTER_URL") else url

    @property
    def namespaces(self) -> list[str]:
        """Namespaces whose sessions are served; `*` stands for all."""
        text = self.environment("operator").get("PODSTREAM_WATCH_NAMESPACES", "")
        return [item.strip() for item in text.split(",") if item.strip()] or [self.namespace]


def find_installation(api: Api) -> Installation:
    """Look in the whole cluster, or in the command's namespace where only that is allowed.

    Raises:
        PluginError: Deployments cannot be read at all.
    """
    is_partial = False
    try:
        found = api.get("deployments", "--all-namespaces", _SELECTOR, cluster_wide=True)
    except Forbidden:
        is_partial = True
        found = api.get("deployments", _SELECTOR)
    by_namespace: dict[str, dict[str, Body]] = {}
    for item in found["items"]:
        meta = item["metadata"]
        component = (meta.get("labels") or {}).get(_COMPONENT, "")
        if component in ("operator", "router"):
            by_namespace.setdefault(meta["namespace"], {})[component] = item
    chosen = api.namespace if api.namespace in by_namespace else min(by_namespace, default="")
    parts = by_namespace.pop(chosen, {})
    return Installation(
        namespace=chosen or api.namespace,
        operator=parts.get("operator"),
        router=parts.get("router"),
        is_partial=is_partial,
        others=sorted(by_namespace),
    )


def container_of(deployment: Body) -> dict[str, Any]:
    """The one container of a Deployment's pods."""
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def served(api: Api, installation: Installation, *, kind: str) -> Iterator[Body]:
    """Objects of a kind in the namespaces that are served, as far as they may be read."""
    for namespace in installation.namespaces:
        scope = "--all-namespaces" if namespace == _ALL else f"-n={namespace}"
        try:
            yield from api.get(kind, scope, cluster_wide=True)["items"]
        except Refused:  # the CRD or a right is missing: another check says so
            continue
