import threading

import numpy as np

from podstream_workloads.tracking.edge.latest import Frame, LatestFrame


def frame(index: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), float(index), index)


def test_the_newest_frame_wins_and_the_one_it_replaces_is_counted() -> None:
    box = LatestFrame()
    for index in range(3):
        box.put(frame(index))

    taken = box.get(0)

    assert taken is not None
    assert taken.index == 2
    assert (box.received, box.dropped) == (3, 2)
    assert box.get(0) is None


def test_a_waiting_consumer_gets_what_comes() -> None:
    box = LatestFrame()
    threading.Timer(0.01, box.put, (frame(7),)).start()

    taken = box.get(10)

    assert taken is not None
    assert taken.index == 7


def test_closing_hands_out_the_last_frame_and_then_ends() -> None:
    box = LatestFrame()
    box.put(frame(0))
    box.close()
    box.put(frame(1))

    assert box.get() is not None
    assert box.get() is None
    assert box.received == 1


def test_waiting_producers_lose_nothing() -> None:
    box = LatestFrame()

    def produce() -> None:
        for index in range(20):
            box.put_waiting(frame(index))
        box.close()

    thread = threading.Thread(target=produce)
    thread.start()
    seen = []
    while (taken := box.get(10)) is not None:
        seen.append(taken.index)
    thread.join(10)

    assert seen == list(range(20))
    assert box.dropped == 0


def test_a_waiting_producer_ends_when_the_box_is_closed() -> None:
    box = LatestFrame()
    box.put(frame(0))
    thread = threading.Thread(target=box.put_waiting, args=(frame(1),))
    thread.start()
    box.close()
    thread.join(10)

    assert not thread.is_alive()
