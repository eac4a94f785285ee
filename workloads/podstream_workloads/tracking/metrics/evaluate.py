"""A run against truth, in one value."""

from dataclasses import dataclass

from podstream_workloads.tracking.metrics.clear import clear
from podstream_workloads.tracking.metrics.hota import hota
from podstream_workloads.tracking.metrics.identity import identity
from podstream_workloads.tracking.metrics.matching import pairings
from podstream_workloads.tracking.metrics.mot import Sequence


@dataclass(frozen=True, slots=True)
class Quality:
    """Scores are 0 to 1 at best (MOTA may be negative); 0 where there was nothing to score."""

    mota: float
    motp: float
    """Mean intersection over union of matches."""
    idf1: float
    hota: float
    detection_accuracy: float
    association_accuracy: float
    presence_f1: float
    """Whether anybody is there, frame by frame."""
    switches: int
    misses: int
    false_positives: int
    truth_boxes: int
    result_boxes: int
    people: int
    """Ids in the truth."""
    tracks: int
    """Ids in the results."""
    ids_per_person: float


def evaluate(truth: Sequence, result: Sequence) -> Quality:
    """Judge results; frames are those that either side knows.

    Args:
        truth: rectangles by person by frame.
        result: rectangles by track id by frame, on the same scale.
    """
    frames = list(pairings(truth, result))
    counts, ids, higher = clear(frames), identity(frames), hota(frames)
    return Quality(
        mota=counts.mota,
        motp=counts.motp,
        idf1=ids.idf1,
        hota=higher.hota,
        detection_accuracy=higher.detection,
        association_accuracy=higher.association,
        presence_f1=_presence_f1(truth, result),
        switches=counts.switches,
        misses=counts.misses,
        false_positives=counts.false_positives,
        truth_boxes=counts.truth_boxes,
        result_boxes=counts.result_boxes,
        people=len({who for frame in truth.values() for who in frame}),
        tracks=len({given for frame in result.values() for given in frame}),
        ids_per_person=ids.ids_per_person,
    )


def _presence_f1(truth: Sequence, result: Sequence) -> float:
    wanted = {frame for frame, boxes in truth.items() if boxes}
    given = {frame for frame, boxes in result.items() if boxes}
    total = len(wanted) + len(given)
    return 2.0 * len(wanted & given) / total if total else 0.0
