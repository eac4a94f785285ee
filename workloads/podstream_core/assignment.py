"""Under which id a pod was assigned to its session.

The operator assigns under the session's UID. A router assigns before the session exists, under a
UUID of its own, and writes it into the session that it creates afterwards: the pair of id and pod
is an annotation there, and counts for that one pod only. A replacement pod is the operator's again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from podstream_core import names

_PART = r"([A-Za-z0-9][-A-Za-z0-9.]{0,252})"
_FORM = re.compile(rf"{_PART}/{_PART}/{_PART}\Z")


@dataclass(frozen=True, slots=True)
class AssignedPod:
    """A router's assignment of a pod."""

    assignment_id: str
    pod_name: str
    pod_uid: str

    def __str__(self) -> str:
        return f"{self.assignment_id}/{self.pod_name}/{self.pod_uid}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the annotation's value; `None` where it has another form."""
        match = _FORM.match(text)
        return cls(*match.groups()) if match else None

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Self | None:
        """The assignment that a session's annotations name, where there is one."""
        return cls.parse(annotations.get(names.ANNOTATION_ASSIGNMENT, ""))


def assignment_id(annotations: Mapping[str, str], *, session_uid: str, pod_uid: str) -> str:
    """The id under which a pod belongs to a session.

    Args:
        annotations: those of the session.
        session_uid: UID of the session.
        pod_uid: UID of the pod.
    """
    assigned = AssignedPod.of(annotations)
    if assigned is not None and assigned.pod_uid == pod_uid:
        return assigned.assignment_id
    return session_uid
