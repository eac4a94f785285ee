"""The bodies of `/timelines`: Tracktech's records made from intervals, and intervals themselves.

Tracktech writes one record for each box, many a second, and its page joins records of a camera
that are at most 3 s apart. From an interval come its first and last moment and one moment every two
seconds between them, never more than there were frames. Dates are UTC.
"""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from podstream_workloads.tracking.orchestrator.timelines.values import MICROSECONDS, Interval

_STEP_US: Final = 2 * MICROSECONDS
_MAX_RECORDS: Final = 100_000  # of one answer, the newest: two days of standing still


def records_body(intervals: Sequence[Interval]) -> str:
    """`{"data":[{"timeStamp": "YYYY/MM/DD | HH:MM:SS", "processorId": "..."},...]}` in order."""
    newest = islice(chain.from_iterable(map(_moments, reversed(intervals))), 2 * _MAX_RECORDS)
    moments = sorted(newest)
    names = _quoted_names(intervals)
    records = (
        f'{{"timeStamp": "{_date(moment)}", "processorId": {names[camera]}}}'
        for moment, camera in moments[-_MAX_RECORDS:]
    )
    return f'{{"data":[{",".join(records)}]}}'


def intervals_body(intervals: Sequence[Interval]) -> str:
    """`{"data":[{"processorId", "first", "last", "frames"},...]}`; dates are ISO 8601 in UTC."""
    names = _quoted_names(intervals)
    shown = (
        f'{{"processorId": {names[item.camera]}, "first": "{iso(item.first_us)}",'
        f' "last": "{iso(item.last_us)}", "frames": {item.frames}}}'
        for item in intervals
    )
    return f'{{"data":[{",".join(shown)}]}}'


def processor_name(camera: str) -> str:
    """A processor's id as text: a string as it is, anything else as Tracktech prints it."""
    return str(json.loads(camera))


def iso(moment_us: int) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond."""
    seconds, rest_us = divmod(moment_us, MICROSECONDS)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{rest_us // 1000:03d}Z", time.gmtime(seconds))


def _quoted_names(intervals: Sequence[Interval]) -> dict[str, str]:
    return {
        camera: json.dumps(processor_name(camera))
        for camera in dict.fromkeys(item.camera for item in intervals)
    }


def _moments(item: Interval) -> Iterator[tuple[int, str]]:
    """Moments of an interval that become records, the latest first."""
    length = item.last_us - item.first_us
    count = min(item.frames, max(2, -(-length // _STEP_US) + 1))
    for index in range(count):
        share = length * index // (count - 1) if count > 1 else 0
        yield item.last_us - share, item.camera


def _date(moment_us: int) -> str:
    return time.strftime("%Y/%m/%d | %H:%M:%S", time.gmtime(moment_us // MICROSECONDS))
