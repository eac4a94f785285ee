"""A detector's threads follow the limit of its pod, not the machine."""

import os
from pathlib import Path

import pytest

from podstream_workloads.tracking.members.processors import processor_limit

HERE = len(os.sched_getaffinity(0))


def test_a_quota_of_the_second_version_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert processor_limit(tmp_path) == 0.5


def test_a_quota_of_the_first_version_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("75000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processor_limit(tmp_path) == 0.75


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense here", "5 0", "6400000 100000"])
def test_without_a_narrower_quota_the_affinity_counts(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert processor_limit(tmp_path) == HERE


def test_no_quota_of_the_first_version_is_minus_one(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processor_limit(tmp_path) == HERE
