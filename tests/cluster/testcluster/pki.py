"""Certificates, keys and kubeconfigs, made with openssl. Test certificates: ten years, one CA."""

import base64
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testcluster import config
from testcluster.command import run, write_if_changed
from testcluster.instance import API_PORT, API_SERVICE_IP, Instance, Node

_DAYS = "3650"
_EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_PROFILE = "2"
"""Raise it when a certificate's content changes: the next ``up`` then makes all of them anew."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says: its file name, its subject and, for a server, its names."""

    name: str
    subject: str
    server_names: tuple[str, ...] = ()

    @property
    def extensions(self) -> str:
        """OpenSSL's extension file: a certificate is for a server or for a client, never both."""
        if not self.server_names:
            return "extendedKeyUsage=clientAuth\n"
        return f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(self.server_names)}\n"


def cluster_certificates(instance: Instance) -> list[Certificate]:
    """Return the certificates that a cluster has once."""
    api_names = (
        f"IP:{instance.api_ip}",
        f"IP:{API_SERVICE_IP}",
        "IP:127.0.0.1",
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
    )
    return [
        Certificate("apiserver", "/CN=kube-apiserver", api_names),
        Certificate("admin", "/O=system:masters/CN=admin"),
        Certificate("kcm", "/CN=system:kube-controller-manager"),
        Certificate("scheduler", "/CN=system:kube-scheduler"),
        Certificate("proxy", "/CN=system:kube-proxy"),
        Certificate("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet-client"),
        Certificate("calico-node", "/CN=calico-node"),
        Certificate("calico-cni", "/CN=calico-cni-plugin"),
    ]


def node_certificates(node: Node) -> list[Certificate]:
    """Return a node's certificates: the kubelet as a client and as a server."""
    return [
        Certificate(f"kubelet-{node.index}", f"/O=system:nodes/CN=system:node:{node.name}"),
        Certificate(
            f"serving-{node.index}", f"/CN={node.name}", (f"IP:{node.ip}", f"DNS:{node.name}")
        ),
    ]


CLUSTER_USERS = ("admin", "kcm", "scheduler", "proxy", "calico-node", "calico-cni")


def ensure_pki(instance: Instance, *, nodes: Iterable[Node]) -> None:
    """Make the certificates and kubeconfigs that are missing. Kept over ``down``."""
    profile = f"{_PROFILE} {instance.api_ip}\n"
    mark = instance.pki / "profile"
    if not mark.is_file() or mark.read_text() != profile:
        shutil.rmtree(instance.pki, ignore_errors=True)
        instance.pki.mkdir(parents=True, mode=0o700)
        _make_authority(instance.pki)
        for certificate in cluster_certificates(instance):
            _issue(certificate, folder=instance.pki)
        write_if_changed(mark, profile)  # last: an interrupted run starts over
    for user in CLUSTER_USERS:
        _write_kubeconfig(instance, user)
    for node in nodes:
        for certificate in node_certificates(node):
            if not (instance.pki / f"{certificate.name}.crt").is_file():
                _issue(certificate, folder=instance.pki)
        _write_kubeconfig(instance, f"kubelet-{node.index}")


def _make_authority(folder: Path) -> None:
    key, certificate = folder / "ca.key", folder / "ca.crt"
    made = ["openssl", "req", "-x509", *_EC_KEY, "-days", _DAYS, "-subj", "/CN=podstream-test-ca"]
    run([*made, "-keyout", key, "-out", certificate])
    run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"])
    run(["openssl", "rsa", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"])


def _issue(certificate: Certificate, *, folder: Path) -> None:
    key, request = folder / f"{certificate.name}.key", folder / f"{certificate.name}.csr"
    extensions = folder / f"{certificate.name}.ext"
    extensions.write_text(certificate.extensions)
    run(
        [
            "openssl",
            "req",
            "-new",
            *_EC_KEY,
            "-keyout",
            key,
            "-out",
            request,
            "-subj",
            certificate.subject,
        ]
    )
    authority: list[str | Path] = [
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
    ]
    issued = ["-in", request, "-days", _DAYS, "-extfile", extensions, *authority]
    run(["openssl", "x509", "-req", *issued, "-out", folder / f"{certificate.name}.crt"])
    request.unlink()
    extensions.unlink()


def _write_kubeconfig(instance: Instance, user: str) -> None:
    def encoded(name: str) -> str:
        return base64.b64encode((instance.pki / name).read_bytes()).decode()

    text = config.kubeconfig(
        server=f"https://{instance.api_ip}:{API_PORT}",
        user=user,
        authority=encoded("ca.crt"),
        certificate=encoded(f"{user}.crt"),
        key=encoded(f"{user}.key"),
    )
    write_if_changed(instance.conf / f"{user}.kubeconfig", text, mode=0o600)
