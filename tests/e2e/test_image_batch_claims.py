"""A batch whose pictures and results lie on PersistentVolumeClaims."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from e2e import kube, pictures
from e2e.sessions import session
from imageops.server import noise


@contextmanager
def claim(folder: Path) -> Iterator[str]:
    """A claim on a volume that is a folder of this machine; the folder is anybody's."""
    folder.mkdir()
    folder.chmod(0o777)
    name = f"batch-{folder.name}-{secrets.token_hex(3)}"
    common: dict[str, Any] = {
        "storageClassName": "",
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
    }
    volume = {
        **common,
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": kube.NAMESPACE, "name": name},
    }
    wanted = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name}
    kube.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume},
        namespace=None,
    )
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": wanted,
        }
    )
    try:
        yield name
    finally:
        kube.delete("pvc", name, wait=False)
        kube.delete("pv", name, namespace=None, wait=False)


@pytest.mark.skipif(
    "PODSTREAM_NODE_IP" not in os.environ,
    reason="only nodes of the embedded cluster see folders of this machine",
)
def test_pictures_come_from_a_claim_and_results_go_to_one(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    with claim(source) as photos, claim(target) as results:
        (source / "2026").mkdir()
        cv2.imwrite(str(source / "2026" / "a.png"), noise(20, 10)[:, :, ::-1])
        batch = {
            "input": {"volume": {"claimName": photos, "path": "2026"}},
            "operations": ["turn=1"],
            "output": {"claimName": results, "path": "turned/2026"},
        }
        with session({"imageOps": {"batch": batch}, "pod": pictures.SMALL}, prefix="claim") as made:
            made.wait_phase("Completed")
            found = pictures.figures(made)["batch"]
        assert (found["total"], found["done"]) == (1, 1)
        data = (target / "turned" / "2026" / "a.png").read_bytes()
        (item,) = found["items"]
        assert (item["size"], item["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        result = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
        assert np.array_equal(result, np.rot90(noise(20, 10)))
