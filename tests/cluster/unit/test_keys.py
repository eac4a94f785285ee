"""What is built once is found again, and anything that changes it is seen."""

import re
from pathlib import Path

import pytest

from testcluster import binaries, versions
from testcluster.binaries import GO_MODULES, MODULES, binaries_key, build_key, calico_roles


def test_key_does_not_depend_on_order() -> None:
    assert build_key([("a", b"1"), ("b", b"2")]) == build_key([("b", b"2"), ("a", b"1")])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([("a", b"1"), ("b", b"3")], id="content"),
        pytest.param([("a", b"1"), ("c", b"2")], id="name"),
        pytest.param([("a", b"1")], id="part-missing"),
        pytest.param([("a", b"1b\x002")], id="two-parts-run-together"),
    ],
)
def test_key_changes_with_every_part(changed: list[tuple[str, bytes]]) -> None:
    assert build_key(changed) != build_key([("a", b"1"), ("b", b"2")])


def test_another_go_version_is_another_key() -> None:
    assert binaries_key("go1.26.2") != binaries_key("go1.26.3")


def test_changed_link_flags_and_sources_are_other_keys(tmp_path: Path) -> None:
    module = binaries.Module("kubernetes", "-X a=b")
    usual = binaries_key("go1.26.2", modules=[module])
    assert binaries_key("go1.26.2", modules=[binaries.Module("kubernetes", "-X a=c")]) != usual
    other = binaries.Module("kubernetes", "-X a=b", ("tool", "./coredns"))
    assert binaries_key("go1.26.2", modules=[other]) != usual
    tagged = binaries.Module("kubernetes", "-X a=b", tags="small")
    assert binaries_key("go1.26.2", modules=[tagged]) != usual


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("kubernetes", "k8s.io/kubernetes", versions.KUBERNETES),
        ("kubernetes", "helm.sh/helm/v4", versions.HELM),
        ("kubernetes", "github.com/coredns/coredns", versions.COREDNS),
        ("crictl", "sigs.k8s.io/cri-tools", versions.CRI_TOOLS),
        ("prometheus", "github.com/prometheus/prometheus", versions.PROMETHEUS),
        ("s3", "github.com/versity/versitygw", versions.VERSITYGW),
        (
            "prometheus-operator",
            "github.com/prometheus-operator/prometheus-operator",
            versions.PROMETHEUS_OPERATOR,
        ),
    ],
)
def test_pinned_versions_are_those_of_the_modules(module: str, path: str, version: str) -> None:
    text = (MODULES / module / "go.mod").read_text()
    assert re.search(rf"(?m)^\s*(require )?{re.escape(path)} {re.escape(version)}( //|$)", text)


def test_every_staging_module_matches_the_kubernetes_version() -> None:
    text = (MODULES / "kubernetes" / "go.mod").read_text()
    replaced = set(re.findall(r"=> k8s\.io/\S+ (v\S+)", text))
    assert replaced == {versions.KUBERNETES.replace("v1.", "v0.")}


@pytest.mark.parametrize("module", [module.name for module in GO_MODULES])
def test_every_module_has_its_sums_checked_in(module: str) -> None:
    assert (MODULES / module / "go.sum").stat().st_size > 1000


def test_roles_of_felix_and_the_plugin_are_taken_from_calicos_manifest() -> None:
    def document(kind: str, name: str) -> str:
        return f"kind: {kind}\nmetadata:\n  name: {name}\n"

    names = ["calico-node", "calico-kube-controllers", "calico-cni-plugin"]
    manifest = "---\n".join([document("ClusterRole", name) for name in names])
    manifest += "---\n" + document("ClusterRoleBinding", "calico-node")
    assert calico_roles(manifest) == (
        "kind: ClusterRole\nmetadata:\n  name: calico-node\n---\n"
        "kind: ClusterRole\nmetadata:\n  name: calico-cni-plugin\n"
    )
