"""The volumes of a session that works through pictures by itself (`spec.imageOps.batch`)."""

from typing import Any

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_operator.resources.volumes import PodVolumes


def batch_volumes(spec: CommonSpec) -> PodVolumes:
    """Input read-only, output for writing; whole volumes, the folder is the workload's affair.

    None without a batch.
    """
    batch = spec.image_ops.batch if spec.image_ops is not None else None
    if batch is None:
        return PodVolumes([], [])
    if batch.input.config_map is not None:
        source: dict[str, Any] = {"configMap": {"name": batch.input.config_map}}
    else:
        claim = batch.input.volume.claim_name if batch.input.volume is not None else ""
        source = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    volumes = [{"name": "batch-input", **source}]
    mounts: list[dict[str, Any]] = [
        {
            "name": "batch-input",
            "mountPath": f"{names.VOLUMES_PATH}/{names.BATCH_INPUT}",
            "readOnly": True,
        }
    ]
    if batch.output is not None:
        claim = batch.output.claim_name
        source = {"persistentVolumeClaim": {"claimName": claim}}
        volumes.append({"name": "batch-output", **source})
        mounts.append(
            {"name": "batch-output", "mountPath": f"{names.VOLUMES_PATH}/{names.BATCH_OUTPUT}"}
        )
    return PodVolumes(volumes, mounts)
