"""Renders every configuration file. Pure: values in, text out."""

import json
from pathlib import Path

from testcluster.instance import DNS_SERVICE_IP, POD_CIDR, Instance, Node
from testcluster.versions import PAUSE_IMAGE

MAX_OPEN_FILES = 1_000_000
"""The kubelet's own default; lower where the machine's hard limit is."""

POD_MTU = 1400


def kubeconfig(*, server: str, user: str, authority: str, certificate: str, key: str) -> str:
    """Return a kubeconfig with one cluster and one user; the last three are base64."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: podstream
  cluster: {{server: "{server}", certificate-authority-data: {authority}}}
users:
- name: {user}
  user: {{client-certificate-data: {certificate}, client-key-data: {key}}}
contexts:
- name: podstream
  context: {{cluster: podstream, user: {user}}}
current-context: podstream
"""


def containerd_toml(instance: Instance, node: Node) -> str:
    """Return containerd 1.6's configuration.

    ``restrict_oom_score_adj``: without CAP_SYS_RESOURCE no pod would start. AppArmor stays off,
    because profiles belong to the machine and a nested container may not load any.
    """
    return f"""\
version = 2
root = '{node.work}/containerd'
state = '{node.run}/c'
[grpc]
  address = '{node.socket}'
[plugins.'io.containerd.grpc.v1.cri']
  sandbox_image = '{PAUSE_IMAGE}'
  restrict_oom_score_adj = true
  disable_apparmor = true
  drain_exec_sync_io_timeout = '2s'
  [plugins.'io.containerd.grpc.v1.cri'.containerd]
    snapshotter = 'overlayfs'
  [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]
      BinaryName = '/usr/sbin/runc'
      SystemdCgroup = false
  [plugins.'io.containerd.grpc.v1.cri'.cni]
    bin_dir = '{instance.cni_bin}'
    conf_dir = '{node.work}/cni'
"""


def kubelet_yaml(instance: Instance, node: Node, *, hard_open_files: int) -> str:
    """Return the kubelet's configuration.

    ``systemCgroups`` must never appear in it: it would move every process of the machine.
    Leases are renewed every 3 s (a quarter of their duration), because the controller manager
    calls a node lost after 16 s.
    """
    return f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {node.ip}
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /{node.cgroup}
oomScoreAdj: 0
maxOpenFiles: {min(MAX_OPEN_FILES, hard_open_files)}
enforceNodeAllocatable: [pods]
containerRuntimeEndpoint: unix://{node.socket}
resolvConf: {instance.conf}/resolv.conf
clusterDNS: [{DNS_SERVICE_IP}]
clusterDomain: cluster.local
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {instance.pki}/ca.crt}}
authorization: {{mode: Webhook}}
tlsCertFile: {instance.pki}/serving-{node.index}.crt
tlsPrivateKeyFile: {instance.pki}/serving-{node.index}.key
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 200Mi, nodefs.available: 1%}}
maxPods: 250
nodeLeaseDurationSeconds: 12
nodeStatusUpdateFrequency: 4s
podLogsDir: {node.work}/pods
"""


def proxy_yaml(instance: Instance, node: Node) -> str:
    """Return kube-proxy's configuration; it leaves the machine's conntrack limits alone.

    Rules follow a changed Service within 0.1 s instead of 1 s: nothing else here is as slow.
    """
    return f"""\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: {node.ip}
hostnameOverride: {node.name}
clientConnection: {{kubeconfig: {instance.conf}/proxy.kubeconfig}}
mode: nftables
nftables: {{minSyncPeriod: 100ms}}
clusterCIDR: {POD_CIDR}
oomScoreAdj: 0
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
"""


def cni_conflist(instance: Instance, node: Node) -> str:
    """Return the CNI chain: Calico's plugin with host-local addresses, portmap behind it."""
    calico = {
        "type": "calico",
        "log_level": "info",
        "log_file_path": f"{instance.log}/cni-{node.index}.log",
        "datastore_type": "kubernetes",
        "nodename": node.name,
        "nodename_file_optional": True,
        "mtu": POD_MTU,
        "ipam": {
            "type": "host-local",
            "dataDir": f"{node.run}/ipam",
            "ranges": [[{"subnet": node.pod_cidr}]],
        },
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": f"{instance.conf}/calico-cni.kubeconfig"},
        "policy_setup_timeout_seconds": 10,
        "endpoint_status_dir": f"{node.run}/calico/endpoint-status",
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    document = {"cniVersion": "1.0.0", "name": "k8s-pod-network", "plugins": [calico, portmap]}
    return json.dumps(document, indent=1) + "\n"


def felix_environment(instance: Instance, node: Node) -> dict[str, str]:
    """Return felix's settings: nftables, no IPv6, no reports to anyone.

    ``FELIX_DebugSkipCTLBCleanup`` (in this exact case) keeps a felix built without cgo from
    failing over BPF programs that it never loaded.
    """
    return {
        "FELIX_DATASTORETYPE": "kubernetes",
        "KUBECONFIG": f"{instance.conf}/calico-node.kubeconfig",
        "FELIX_FELIXHOSTNAME": node.name,
        "FELIX_NFTABLESMODE": "Enabled",
        "FELIX_IPV6SUPPORT": "false",
        "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
        "FELIX_USAGEREPORTINGENABLED": "false",
        "FELIX_XDPENABLED": "false",
        "FELIX_LOGSEVERITYSCREEN": "warning",
        "FELIX_LOGSEVERITYSYS": "none",
        "FELIX_LOGFILEPATH": "none",
        "FELIX_ENDPOINTSTATUSPATHPREFIX": f"{node.run}/calico",
        "FELIX_HEALTHENABLED": "true",
        "FELIX_HEALTHHOST": "127.0.0.1",
        "FELIX_DebugSkipCTLBCleanup": "true",
    }


def volume_manifest(node: Node, *, count: int) -> str:
    """Return ``count`` local PersistentVolumes of a node, of 5 Gi each (not enforced)."""
    documents = [
        f"""\
apiVersion: v1
kind: PersistentVolume
metadata: {{name: podstream-local-{node.index}-{number}}}
spec:
  capacity: {{storage: 5Gi}}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: podstream-local
  local: {{path: {volume_path(node, number)}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - {{key: kubernetes.io/hostname, operator: In, values: [{node.name}]}}
"""
        for number in range(1, count + 1)
    ]
    return "---\n".join(documents)


def volume_path(node: Node, number: int) -> Path:
    """Return the folder behind a node's local volume."""
    return node.work / "volumes" / str(number)
