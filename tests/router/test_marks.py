from podstream_router.claims.marks import Marks


def test_taken_pods_stay_taken_and_resting_ones_come_back() -> None:
    now = [0.0]
    marks = Marks(clock=lambda: now[0])
    marks.take("a")
    marks.rest("b", for_s=5)
    assert (marks.is_taken("a"), marks.is_resting("a")) == (True, False)
    assert (marks.is_taken("b"), marks.is_resting("b")) == (False, True)
    now[0] = 5.0
    assert marks.is_taken("a")
    assert not marks.is_resting("b")
    marks.forget("a")
    assert not marks.is_taken("a")
    assert not marks.is_resting("never seen")
