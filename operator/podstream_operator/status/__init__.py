"""`status` of a StreamSession: how each step of a session's life is written down. Pure."""

from podstream_operator.status.agreement import agrees, pools_agree
from podstream_operator.status.build import (
    Progress,
    completed_status,
    failed_status,
    live_status,
    replacing_status,
)
from podstream_operator.status.conditions import is_true
from podstream_operator.status.difference import merge_patch
from podstream_operator.status.ending import Ending, ending_of
from podstream_operator.status.endpoints import whep_cluster_url
from podstream_operator.status.note import Note, Severity
from podstream_operator.status.timeline import applied_at
from podstream_operator.status.transitions import transitions

__all__ = [
    "Ending",
    "Note",
    "Progress",
    "Severity",
    "agrees",
    "applied_at",
    "completed_status",
    "ending_of",
    "failed_status",
    "is_true",
    "live_status",
    "merge_patch",
    "pools_agree",
    "replacing_status",
    "transitions",
    "whep_cluster_url",
]
