"""Rendered scenes against the targets that tracking has."""

import pytest

from tracking.scenes.follow import follow, follow_naively
from tracking.scenes.scenes import SCENES, leave_and_return, meet_and_return


@pytest.mark.parametrize("name", sorted(set(SCENES) - {"leave and return"}))
def test_everybody_keeps_one_id(name: str) -> None:
    quality = follow(SCENES[name]())

    assert (quality.tracks, quality.ids_per_person, quality.switches) == (quality.people, 1.0, 0)
    assert quality.presence_f1 >= 0.97
    assert quality.idf1 >= 0.97


def test_who_comes_back_later_is_a_new_track() -> None:
    """Being the same person is for re-identification to say."""
    quality = follow(leave_and_return())

    assert (quality.people, quality.tracks) == (2, 4)
    assert quality.presence_f1 >= 0.97


def test_the_naive_tracker_does_worse() -> None:
    assert follow_naively(meet_and_return()).tracks > 2
