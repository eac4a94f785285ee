"""The volumes of a session that works through pictures by itself (`spec.imageOps.batch`)."""

from typing import Any

from podstream_core import names
from podstream_core.api import CommonSpec
from podstream_operator.resources.volumes import NO_VOLUMES, PodVolumes, claim, mounted


def batch_volumes(spec: CommonSpec) -> PodVolumes:
    """Input read-only, output for writing; whole volumes, the folder is the workload's affair.

    None without a batch.
    """
    batch = spec.image_ops.batch if spec.image_ops is not None else None
    if batch is None:
        return NO_VOLUMES
    if batch.input.config_map is not None:
        source: dict[str, Any] = {"configMap": {"name": batch.input.config_map}}
    else:
        name = batch.input.volume.claim_name if batch.input.volume is not None else ""
        source = claim(name, read_only=True)
    found = mounted("batch-input", source, path=names.BATCH_INPUT, read_only=True)
    if batch.output is None:
        return found
    return found + mounted("batch-output", claim(batch.output.claim_name), path=names.BATCH_OUTPUT)
