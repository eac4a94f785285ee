"""May operator and router do what they do?"""

from collections.abc import Iterator
from typing import Any, Final

from podstream_kubectl.doctor.findings import Finding, broken, ok, unknown
from podstream_kubectl.errors import Refused
from podstream_kubectl.installation import Installation
from podstream_kubectl.kubectl import Api, Body

_ALL: Final = "*"
NEEDED: Final = {
    # As in the chart's templates/rbac.yaml, but for finalizers, which few clusters ask for.
    "operator": (
        ("podstream.dev", "streamsessions", ("get", "list", "watch", "delete")),
        ("podstream.dev", "streamsessions/status", ("patch",)),
        ("podstream.dev", "streampools", ("get", "list", "watch")),
        ("podstream.dev", "streampools/status", ("patch",)),
        ("", "pods", ("get", "list", "watch", "create", "patch", "delete")),
        ("", "secrets", ("get", "create", "patch", "delete")),
        ("events.k8s.io", "events", ("create",)),
    ),
    "router": (
        ("podstream.dev", "streamsessions", ("get", "list", "watch", "create", "patch")),
        ("podstream.dev", "streampools", ("get", "list", "watch")),
        ("", "pods", ("get", "list", "watch")),
    ),
}


def check_rights(api: Api, installation: Installation) -> Iterator[Finding]:
    """Compare the rules that bind the service accounts with what the parts call.

    Reads Roles instead of asking for each right: one call a namespace instead of forty.
    """
    for component, deployment in (
        ("operator", installation.operator),
        ("router", installation.router),
    ):
        if deployment is None:
            continue
        account = deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")
        check = f"RBAC of the {component}"
        try:
            missing = list(_missing(api, installation, account=account, component=component))
        except Refused:
            yield unknown(check, "you may not read Roles and RoleBindings")
            continue
        if missing:
            yield broken(
                check,
                f"service account {account} may not {'; '.join(missing)}",
                "helm upgrade --reuse-values puts the Roles back (or, with rbac.create=false, give "
                "it the rules of templates/rbac.yaml)",
            )
        else:
            yield ok(check, f"service account {account} may do all it does")


def _missing(
    api: Api, installation: Installation, *, account: str, component: str
) -> Iterator[str]:
    clustered = _rules(api, installation, account=account, namespace=None)
    for namespace in installation.namespaces:
        rules = clustered if namespace == _ALL else [
            *clustered, *_rules(api, installation, account=account, namespace=namespace)
        ]  # fmt: skip
        for group, resource, verbs in NEEDED[component]:
            lacking = [verb for verb in verbs if not _allows(rules, group, resource, verb)]
            if lacking:
                yield f"{', '.join(lacking)} {resource} in {namespace}"


def _rules(
    api: Api, installation: Installation, *, account: str, namespace: str | None
) -> list[dict[str, Any]]:
    """Rules that bind an account, in a namespace or in the whole cluster."""
    if namespace is None:
        bindings = api.get("clusterrolebindings", cluster_wide=True)["items"]
    else:
        bindings = api.get("rolebindings", f"-n={namespace}", cluster_wide=True)["items"]
    rules: list[dict[str, Any]] = []
    for binding in bindings:
        if not _binds(binding, account=account, namespace=installation.namespace):
            continue
        role = binding["roleRef"]
        scope = [] if role["kind"] == "ClusterRole" else [f"-n={namespace}"]
        try:
            found = api.get(role["kind"].lower(), role["name"], *scope, cluster_wide=True)
        except Refused:  # a binding to a Role that is gone grants nothing
            continue
        rules += found.get("rules") or []
    return rules


def _binds(binding: Body, *, account: str, namespace: str) -> bool:
    return any(
        subject.get("kind") == "ServiceAccount"
        and subject.get("name") == account
        and subject.get("namespace") == namespace
        for subject in binding.get("subjects") or []
    )


def _allows(rules: list[dict[str, Any]], group: str, resource: str, verb: str) -> bool:
    def holds(member: str, value: str, rule: dict[str, Any]) -> bool:
        values = rule.get(member) or []
        return value in values or _ALL in values

    return any(
        holds("apiGroups", group, rule)
        and holds("resources", resource, rule)
        and holds("verbs", verb, rule)
        and not rule.get("resourceNames")
        for rule in rules
    )
