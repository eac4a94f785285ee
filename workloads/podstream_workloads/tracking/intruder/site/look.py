"""One frame from bytes to people: decoded, searched, cut out. Pure but for the detector."""

from dataclasses import dataclass

from podstream_workloads.tracking.edge.detectors.base import Detection, Detector, Picture
from podstream_workloads.tracking.intruder.pictures import PictureRefused, decode, encode_jpeg
from podstream_workloads.tracking.intruder.settings import IntruderEdgeSettings, Send


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame shows."""

    persons: int
    """Detections that count."""
    pictures: tuple[bytes, ...] = ()
    """JPEG files for the cloud, the surest person's first."""
    refused: str = ""
    """Why there are no pixels; empty where there are."""


def look(data: bytes, *, detector: Detector, settings: IntruderEdgeSettings) -> Look:
    """Decode a frame and find its people. Blocks for as long as the detector takes."""
    try:
        picture = decode(data, limits=settings.limits)
    except PictureRefused as refused:
        return Look(0, refused=f"{refused.refusal.value}: {refused}")
    people = persons(detector.detect(picture), settings=settings)
    if not people:
        return Look(0)
    if settings.send is Send.FRAME:
        return Look(len(people), (data,))
    crops = [crop(picture, person, margin=settings.crop_margin) for person in people]
    return Look(
        len(people),
        tuple(
            encode_jpeg(cut, quality=settings.jpeg_quality)
            for cut in crops[: settings.max_crops]
            if cut.size
        ),
    )


def persons(detections: list[Detection], *, settings: IntruderEdgeSettings) -> list[Detection]:
    """Those that count as people, the surest first."""
    counted = [
        detection
        for detection in detections
        if detection.score >= settings.confidence
        and (not settings.labels or detection.label in settings.labels)
    ]
    return sorted(counted, key=lambda detection: detection.score, reverse=True)


def crop(picture: Picture, detection: Detection, *, margin: float) -> Picture:
    """The detection with a margin on each side, within the picture; a view, not a copy."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = detection.rect
    dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
    left, right = max(0, int(x1 - dx)), min(width, int(x2 + dx) + 1)
    top, bottom = max(0, int(y1 - dy)), min(height, int(y2 + dy) + 1)
    return picture[top:bottom, left:right]
