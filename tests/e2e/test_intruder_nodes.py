"""A site's edge and its cloud on two nodes, chosen by label: needs NODES=2."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.crds import SAMPLES
from e2e import kube
from e2e.sessions import session
from e2e.test_image_batch_claims import claim
from e2e.test_tracking_parts import LIVE, play, train

pytestmark = pytest.mark.long

_LABEL = "podstream.dev/place"
PLACES = {"node-1": "cloud", "node-2": "edge"}


@pytest.fixture
def _labels() -> Iterator[None]:
    """Two nodes that carry the samples' labels."""
    if kube.get("node", "node-2", namespace=None) is None:
        pytest.skip("needs a second node: make cluster-up NODES=2 install")
    for node, place in PLACES.items():
        kube.kubectl("label", "node", node, f"{_LABEL}={place}", "--overwrite", namespace=None)
    yield
    for node in PLACES:
        kube.kubectl("label", "node", node, f"{_LABEL}-", namespace=None)


def sample(name: str) -> dict[str, Any]:
    """The spec of a sample."""
    (path,) = (path for path in SAMPLES if path.stem == name)
    spec: dict[str, Any] = yaml.safe_load(path.read_text())["spec"]
    return spec


@pytest.mark.usefixtures("_labels")
async def test_edge_and_cloud_work_on_the_nodes_of_their_labels(tmp_path: Path) -> None:
    with claim(tmp_path / "faces") as volume:
        train(tmp_path)
        cloud_spec = {**sample("intruder-cloud-placed"), **LIVE}
        gallery = {"claimName": volume, "path": "known.npz"}
        cloud_spec["tracking"] = {"recognition": {"gallery": gallery}}
        with session(cloud_spec, prefix="cloud") as cloud:
            edge_spec = {**sample("intruder-placed"), **LIVE}
            member = {"cloudRef": {"name": cloud.name}, "detector": {"method": "Haar"}}
            edge_spec["tracking"] = {"edge": member}
            with session(edge_spec, prefix="edge") as edge:
                for made in (cloud, edge):
                    await asyncio.to_thread(made.wait_phase, "Ready")
                found = [made.status["pod"]["node"] for made in (cloud, edge)]
                assert found == ["node-1", "node-2"]
                await play(edge, cloud)
