"""Edge and cloud intruder detection: cameras and alarms, a site's edge, and who is it?"""

from podstream_workloads.tracking.intruder.cloud.client import CloudClient
from podstream_workloads.tracking.intruder.cloud.service import CloudFigures, CloudService
from podstream_workloads.tracking.intruder.settings import (
    CloudClientSettings,
    CloudSettings,
    IntruderEdgeSettings,
    Send,
)
from podstream_workloads.tracking.intruder.site.edge import IntruderEdge
from podstream_workloads.tracking.intruder.site.figures import IntruderEdgeFigures
from podstream_workloads.tracking.intruder.verdict import Outcome, Recogniser, Verdict

__all__ = [
    "CloudClient",
    "CloudClientSettings",
    "CloudFigures",
    "CloudService",
    "CloudSettings",
    "IntruderEdge",
    "IntruderEdgeFigures",
    "IntruderEdgeSettings",
    "Outcome",
    "Recogniser",
    "Send",
    "Verdict",
]
