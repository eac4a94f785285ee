"""gRPC over TLS on the cluster: certificate from a Secret, beside cleartext, renewed in use.

The routers are replaced twice for it, which cuts off whatever is connected.
"""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from e2e import kube, pictures
from e2e.sessions import Session, session
from imageops.server import Images, collect, noise, raw, requests
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from router.certificates import self_signed

ROOT = Path(__file__).parents[2]
SECRET = "grpc-listener-tls"
pytestmark = pytest.mark.long
TURN = pb.Operation(turn=pb.Turn(quarters=1))


def upgrade(secret: str) -> None:
    """Have the routers use a certificate, or none."""
    command = ["helm", "upgrade", "podstream", str(ROOT / "helm/podstream"), "--reuse-values"]
    command += ["--namespace", kube.NAMESPACE, "--wait", "--timeout", "120s"]
    command += ["--set", f"router.tls.secretName={secret},router.tls.required=false"]
    subprocess.run(command, check=True, capture_output=True, text=True)


def write_secret() -> bytes:
    """A new certificate in the cluster; what clients have to trust."""
    certificate, key = self_signed()
    data = {"tls.crt": certificate, "tls.key": key}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": SECRET},
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
    )
    return certificate


@pytest.fixture
def trusted() -> Iterator[bytes]:
    """An installation with TLS: its certificate."""
    certificate = write_secret()
    try:
        upgrade(SECRET)
        yield certificate
    finally:
        upgrade("")
        kube.delete("secret", SECRET)


def turned(made: Session, trusted: bytes) -> grpc.StatusCode:
    """How a call on a connection of its own ends."""
    terms = [
        ("podstream-session", f"{kube.NAMESPACE}/{made.name}"),
        ("authorization", f"Bearer {made.token()}"),
    ]
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.max_receive_message_length", -1),
    ]
    credentials = grpc.ssl_channel_credentials(trusted)
    address = ":".join(pictures.address(made))
    picture = noise(1500, 1000)
    with grpc.secure_channel(address, credentials, options=options) as channel:
        call = requests(picture.tobytes(), input=raw(picture), operations=[TURN])
        try:
            found = collect(Images(channel, metadata=terms).process(call, timeout=30))
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    assert found.data == np.rot90(picture).tobytes()
    return grpc.StatusCode.OK


def test_tls_beside_cleartext_with_a_certificate_that_is_renewed(trusted: bytes) -> None:
    spec = {"imageOps": {}, "pod": pictures.SMALL, "reconnectSeconds": 600}
    with session(spec, prefix="tls") as made:
        made.wait_phase("Ready")
        kube.until(lambda: turned(made, trusted) is grpc.StatusCode.OK, what="a call over TLS")

        def in_cleartext() -> bool:
            with pictures.connected(made, token=made.token()) as images:
                try:
                    images.get_limits(pb.GetLimitsRequest(), timeout=10)
                except grpc.RpcError:  # the last connection may still be ending
                    return False
                return True

        kube.until(in_cleartext, what="a call in cleartext on the same port")
        renewed = write_secret()
        # Any change of a pod has its kubelet look at the pod's Secrets at once.
        selector = "app.kubernetes.io/component=router"
        stamp = "podstream.test/renewed=yes"
        kube.kubectl("annotate", "pods", "-l", selector, "--overwrite", stamp)
        kube.until(
            lambda: turned(made, renewed) is grpc.StatusCode.OK,
            what="a call with the renewed certificate",
            timeout_s=120,
        )
        assert turned(made, trusted) is grpc.StatusCode.UNAVAILABLE, "the old one is gone"
