"""Operator and router may do what they call, and nothing else."""

from typing import Any

import pytest

from chart.helm import VALUES, environment, of_kind, one, pods, render
from podstream_kubectl.doctor.rights_check import NEEDED

OPERATOR = {
    ("podstream.dev", "streamsessions"): {"get", "list", "watch", "delete"},
    ("podstream.dev", "streamsessions/status"): {"patch"},
    ("podstream.dev", "streamsessions/finalizers"): {"update"},
    ("podstream.dev", "streampools"): {"get", "list", "watch"},
    ("podstream.dev", "streampools/status"): {"patch"},
    ("podstream.dev", "streampools/finalizers"): {"update"},
    ("", "pods"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "secrets"): {"get", "create", "patch", "delete"},
    ("events.k8s.io", "events"): {"create"},
}
ROUTER = {
    ("podstream.dev", "streamsessions"): {"get", "list", "watch", "create", "patch"},
    ("podstream.dev", "streampools"): {"get", "list", "watch"},
    ("", "pods"): {"get", "list", "watch"},
}
LOGIN = {
    ("authentication.k8s.io", "tokenreviews"): {"create"},
    ("authorization.k8s.io", "subjectaccessreviews"): {"create"},
}
EDITED = ("streamsessions", "streampools", "streampools/scale")
LEADER = {("coordination.k8s.io", "leases"): {"create", "get", "update"}}
TEST = {("podstream.dev", "streamsessions"): {"get", "create", "delete"}}

every_set = pytest.mark.parametrize("values", VALUES)


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


@every_set
def test_no_wildcards(values: str) -> None:
    manifests = render(values)
    for role in [*of_kind(manifests, "Role"), *of_kind(manifests, "ClusterRole")]:
        for rule in role["rules"]:
            assert rule.keys() - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@every_set
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("podstream-operator", OPERATOR, id="operator"),
        pytest.param("podstream-operator-leader", LEADER, id="operator-leader"),
        pytest.param("podstream-router", ROUTER, id="router"),
        pytest.param("podstream-test", TEST, id="helm-test"),
    ],
)
def test_roles_hold_exactly_what_is_called(
    values: str, name: str, wanted: dict[tuple[str, str], set[str]]
) -> None:
    roles = [role for role in of_kind(render(values), "Role") if role["metadata"]["name"] == name]
    assert roles
    assert [rights(role) for role in roles] == [wanted] * len(roles)


@pytest.mark.parametrize(("component", "wanted"), [("operator", OPERATOR), ("router", ROUTER)])
def test_doctor_looks_for_the_same_rights(
    component: str, wanted: dict[tuple[str, str], set[str]]
) -> None:
    looked_for = {(group, name): set(verbs) for group, name, verbs in NEEDED[component]}
    assert looked_for == {
        (group, name): verbs
        for (group, name), verbs in wanted.items()
        if not name.endswith("/finalizers")
    }


@every_set
def test_secrets_cannot_be_listed(values: str) -> None:
    manifests = render(values)
    for role in [*of_kind(manifests, "Role"), *of_kind(manifests, "ClusterRole")]:
        assert not rights(role).get(("", "secrets"), set()) & {"list", "watch", "deletecollection"}


def test_each_served_namespace_gets_its_roles() -> None:
    manifests = render("everything")
    for kind in ("Role", "RoleBinding"):
        places = {
            (item["metadata"]["name"], item["metadata"]["namespace"])
            for item in of_kind(manifests, kind)
            if not item["metadata"]["name"].endswith(("-test", "-leader"))
        }
        assert places == {
            (name, namespace)
            for name in ("podstream-operator", "podstream-router")
            for namespace in ("default", "team-a")
        }


@every_set
def test_bindings_name_the_accounts_of_the_pods(values: str) -> None:
    manifests = render(values)
    accounts = {item["metadata"]["name"] for item in of_kind(manifests, "ServiceAccount")}
    for name, pod in pods(manifests).items():
        assert pod["serviceAccountName"] == name
        assert name in accounts
    for binding in of_kind(manifests, "RoleBinding"):
        (subject,) = binding["subjects"]
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
        assert subject["name"] == binding["metadata"]["name"].removesuffix("-leader")
        assert subject["namespace"] == "streams"


@every_set
def test_lease_is_named_and_lies_where_the_operator_runs(values: str) -> None:
    manifests = render(values)
    role = one(manifests, "Role", "podstream-operator-leader")
    assert role["metadata"]["namespace"] == "streams"
    named = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    lease = environment(manifests, "podstream-operator")["PODSTREAM_LEASE_NAME"]
    assert named == {"create": None, "get": [lease], "update": [lease]}


@every_set
def test_login_of_people_may_be_reviewed_and_no_more(values: str) -> None:
    manifests = render(values, "router.dashboard.adminLogin=true")
    name = "streams-podstream-router-login"
    assert rights(one(manifests, "ClusterRole", name)) == LOGIN
    binding = one(manifests, "ClusterRoleBinding", name)
    assert binding["roleRef"]["name"] == name
    (subject,) = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == ("podstream-router", "streams")


def test_nothing_is_cluster_scoped_without_aggregation_and_login() -> None:
    manifests = render("default", "rbac.aggregate=false", "router.dashboard.adminLogin=false")
    assert of_kind(manifests, "ClusterRole") == []
    assert of_kind(manifests, "ClusterRoleBinding") == []
    assert all("namespace" in manifest["metadata"] for manifest in manifests)


def test_people_get_sessions_with_the_built_in_roles() -> None:
    manifests = render("default")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    reach = {
        role["metadata"]["name"]: {
            label.removeprefix(prefix)
            for label in role["metadata"]["labels"]
            if label.startswith(prefix)
        }
        for role in of_kind(manifests, "ClusterRole")
        if not role["metadata"]["name"].endswith("-login")
    }
    assert reach == {
        "streams-podstream-view": {"view", "edit", "admin"},
        "streams-podstream-edit": {"edit", "admin"},
    }
    edit = rights(one(manifests, "ClusterRole", "streams-podstream-edit"))
    wanted = {("podstream.dev", name) for name in EDITED}
    assert edit.keys() == wanted, "status is the operator's"


def test_own_accounts_can_be_used() -> None:
    manifests = render(
        "default",
        "rbac.create=false",
        'operator.serviceAccountName="mine"',
        'router.serviceAccountName="yours"',
    )
    found = pods(manifests)
    assert found["podstream-operator"]["serviceAccountName"] == "mine"
    assert found["podstream-router"]["serviceAccountName"] == "yours"
    assert {item["metadata"]["name"] for item in of_kind(manifests, "Role")} == {"podstream-test"}
