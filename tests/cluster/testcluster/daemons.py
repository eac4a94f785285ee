"""Which daemons a cluster has, and their flags. Pure: values in, command lines out."""

from pathlib import Path

from testcluster import config
from testcluster.command import SYSTEM_PATH
from testcluster.instance import API_PORT, SERVICE_CIDR, Instance, Node
from testcluster.processes import Daemon

_ETCD = "http://127.0.0.1:2379"

LOST_NODE_AFTER_S = 16
"""Kubernetes takes 50 s by default; tests of a lost node need not wait that long."""

CLIENT_RATE = ("--kube-api-qps=200", "--kube-api-burst=400")
"""Controllers and scheduler slow themselves down to 20 and 50 requests a second by default, which
would measure them, not what is tested, where thousands of objects come and go."""

AUDIT_LOG_MB = 4000
"""Beyond it the log would be rotated, and a count of writes would begin anew."""


def etcd(instance: Instance, binaries: Path) -> Daemon:
    """Return etcd: test data, so it does not wait for the disk."""
    return _control_plane(
        instance,
        "etcd",
        binaries / "etcd",
        f"--data-dir={instance.work}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    )


def apiserver(instance: Instance, binaries: Path) -> Daemon:
    """Return the API server, with an audit log to count requests by user."""
    pki = instance.pki
    return _control_plane(
        instance,
        "apiserver",
        binaries / "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={instance.api_ip}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--cert-dir={instance.conf}",
        f"--audit-policy-file={instance.conf}/audit-policy.yaml",
        f"--audit-log-path={instance.log}/audit.log",
        f"--audit-log-maxsize={AUDIT_LOG_MB}",
    )


def controller_manager(instance: Instance, binaries: Path) -> Daemon:
    """Return the controller manager; pod ranges are fixed, so it allocates none."""
    pki = instance.pki
    return _control_plane(
        instance,
        "controller-manager",
        binaries / "kube-controller-manager",
        f"--kubeconfig={instance.conf}/kcm.kubeconfig",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--use-service-account-credentials",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        *CLIENT_RATE,
        f"--node-monitor-grace-period={LOST_NODE_AFTER_S}s",
        f"--cert-dir={instance.conf}",
        "--bind-address=127.0.0.1",
    )


def scheduler(instance: Instance, binaries: Path) -> Daemon:
    """Return the scheduler."""
    return _control_plane(
        instance,
        "scheduler",
        binaries / "kube-scheduler",
        f"--kubeconfig={instance.conf}/scheduler.kubeconfig",
        "--leader-elect=false",
        *CLIENT_RATE,
        f"--cert-dir={instance.conf}",
        "--bind-address=127.0.0.1",
    )


def containerd(instance: Instance, node: Node) -> Daemon:
    """Return a node's containerd."""
    return _on_node(
        instance, node, "containerd", "/usr/bin/containerd", f"--config={node.work}/containerd.toml"
    )


def felix(instance: Instance, node: Node, binaries: Path) -> Daemon:
    """Return a node's enforcer of NetworkPolicy."""
    environment = config.felix_environment(instance, node)
    return _on_node(instance, node, "felix", binaries / "calico-felix", environment=environment)


def kubelet(instance: Instance, node: Node, binaries: Path) -> Daemon:
    """Return a node's kubelet."""
    return _on_node(
        instance,
        node,
        "kubelet",
        binaries / "kubelet",
        f"--config={node.work}/kubelet.yaml",
        f"--kubeconfig={instance.conf}/kubelet-{node.index}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}",
        f"--root-dir={node.work}/kubelet",
        f"--cert-dir={node.work}",
        environment={"PATH": f"{binaries}:{SYSTEM_PATH}"},
    )


def proxy(instance: Instance, node: Node, binaries: Path) -> Daemon:
    """Return a node's kube-proxy; it waits 30 s when started before the Node object exists."""
    return _on_node(
        instance, node, "proxy", binaries / "kube-proxy", f"--config={node.work}/proxy.yaml"
    )


def control_plane(instance: Instance, binaries: Path) -> list[Daemon]:
    """Return the daemons that the cluster has once, in the order of their start."""
    makers = (etcd, apiserver, controller_manager, scheduler)
    return [make(instance, binaries) for make in makers]


def node_daemons(instance: Instance, node: Node, binaries: Path) -> list[Daemon]:
    """Return a node's own daemons, in the order of their start."""
    return [
        containerd(instance, node),
        felix(instance, node, binaries),
        kubelet(instance, node, binaries),
        proxy(instance, node, binaries),
    ]


def _control_plane(instance: Instance, name: str, program: Path, *flags: str) -> Daemon:
    return Daemon(
        name=name,
        argv=(str(program), *flags),
        netns=instance.node(1).netns_path,
        run=instance.run,
        log=instance.log,
    )


def _on_node(
    instance: Instance,
    node: Node,
    name: str,
    program: str | Path,
    *flags: str,
    environment: dict[str, str] | None = None,
) -> Daemon:
    return Daemon(
        name=f"{name}-{node.index}",
        argv=(str(program), *flags),
        netns=node.netns_path,
        mntns=node.mntns_path,
        run=instance.run,
        log=instance.log,
        environment=environment or {},
    )
