"""Rendered configuration: each instance and node has its own places and addresses."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from testcluster import config, daemons
from testcluster.addons import MANIFESTS
from testcluster.errors import ClusterError
from testcluster.instance import Instance, cache_root, from_environment

CACHE = Path("/cache")
A = Instance(letter="a", cache=CACHE)
B = Instance(letter="b", cache=CACHE)


def test_default_instance_has_the_plain_names() -> None:
    node = A.node(2)
    assert (A.bridge, A.host_ip, A.api_ip) == ("ps-br", "10.89.0.1", "10.89.0.2")
    assert (A.run, A.work) == (Path("/run/podstream"), CACHE / "cluster")
    assert (node.name, node.netns, node.link) == ("node-2", "podstream-2", "ps-2")
    assert (node.ip, node.pod_cidr) == ("10.89.0.3", "10.244.2.0/24")


def test_two_instances_share_nothing_on_the_machine() -> None:
    def names(instance: Instance) -> set[object]:
        node = instance.node(1)
        places = {instance.run, instance.work, node.run, node.work, node.netns_path}
        return (
            places
            | {instance.bridge, instance.network, node.link, node.netns, node.ip}
            | {instance.route_metric}
        )

    assert not names(A) & names(B)


def test_interface_names_fit_the_kernels_limit() -> None:
    last = Instance(letter="z", cache=CACHE)
    assert max(len(last.bridge), len(last.node(9).link)) <= 15


@pytest.mark.parametrize("name", ["B", "bb", "1", "../x", " "])
def test_bad_instance_names_are_refused(name: str) -> None:
    with pytest.raises(ClusterError):
        from_environment({"PODSTREAM_CLUSTER": name, "HOME": "/home/me"})


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"HOME": "/h"}, "/h/.cache/podstream"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/podstream"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "PODSTREAM_CACHE": "/p"}, "/p"),
    ],
)
def test_cache_folder_follows_the_environment(environ: dict[str, str], root: str) -> None:
    assert cache_root(environ) == Path(root)


def test_kubelet_never_moves_the_machines_processes() -> None:
    rendered = yaml.safe_load(config.kubelet_yaml(A, A.node(1), hard_open_files=20000))
    assert "systemCgroups" not in rendered
    assert rendered["cgroupRoot"] == "/podstream-1"
    assert rendered["enforceNodeAllocatable"] == ["pods"]
    assert rendered["resolvConf"] == "/cache/cluster/conf/resolv.conf"


@pytest.mark.parametrize(("hard", "expected"), [(20000, 20000), (10_000_000, 1_000_000)])
def test_kubelet_asks_for_no_more_files_than_the_machine_allows(hard: int, expected: int) -> None:
    rendered = yaml.safe_load(config.kubelet_yaml(A, A.node(1), hard_open_files=hard))
    assert rendered["maxOpenFiles"] == expected


def test_nodes_renew_their_lease_well_before_they_count_as_lost() -> None:
    rendered = yaml.safe_load(config.kubelet_yaml(A, A.node(1), hard_open_files=20000))
    assert rendered["nodeLeaseDurationSeconds"] / 4 * 3 < daemons.LOST_NODE_AFTER_S


def test_containerd_starts_pods_without_the_right_to_lower_oom_scores() -> None:
    rendered = tomllib.loads(config.containerd_toml(A, A.node(1)))
    cri = rendered["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is True
    assert rendered["root"].startswith("/cache/")
    assert rendered["grpc"]["address"] == "/run/podstream/1/containerd.sock"


def test_kube_proxy_leaves_the_machines_conntrack_alone() -> None:
    rendered = yaml.safe_load(config.proxy_yaml(A, A.node(1)))
    assert rendered["conntrack"]["maxPerCore"] == 0
    assert rendered["mode"] == "nftables"


def test_addresses_of_pods_come_from_the_nodes_own_range() -> None:
    rendered = json.loads(config.cni_conflist(A, A.node(3)))
    calico, portmap = rendered["plugins"]
    assert calico["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]
    assert calico["nodename"] == "node-3"
    assert portmap["type"] == "portmap"


def test_volumes_are_tied_to_their_node() -> None:
    volumes = list(yaml.safe_load_all(config.volume_manifest(A.node(2), count=3)))
    assert [volume["metadata"]["name"] for volume in volumes] == [
        f"podstream-local-2-{number}" for number in (1, 2, 3)
    ]
    terms = volumes[0]["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["node-2"]
    assert len({volume["spec"]["local"]["path"] for volume in volumes}) == 3


def test_kubeconfig_is_valid_and_points_to_one_cluster() -> None:
    text = config.kubeconfig(server="https://s", user="u", authority="Q", certificate="Q", key="Q")
    rendered = yaml.safe_load(text)
    assert rendered["clusters"][0]["cluster"]["server"] == "https://s"
    assert rendered["contexts"][0]["context"] == {"cluster": "podstream", "user": "u"}


def test_every_daemon_has_a_name_and_absolute_paths() -> None:
    binaries = Path("/bin-cache")
    listed = daemons.control_plane(A, binaries) + daemons.node_daemons(A, A.node(1), binaries)
    assert len({daemon.name for daemon in listed}) == len(listed) == 8
    assert all(Path(daemon.argv[0]).is_absolute() for daemon in listed)


def test_api_server_counts_requests() -> None:
    flags = daemons.apiserver(A, Path("/b")).argv
    assert "--audit-log-path=/cache/cluster/log/audit.log" in flags
    policy = yaml.safe_load((MANIFESTS / "audit-policy.yaml").read_text())
    assert policy["omitStages"] == ["RequestReceived"]
    assert policy["rules"][-1] == {"level": "Metadata"}


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.name)
def test_manifests_parse(path: Path) -> None:
    assert all(document["kind"] for document in yaml.safe_load_all(path.read_text()))
