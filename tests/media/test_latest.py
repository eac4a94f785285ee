import asyncio

import pytest

from podstream_workloads.media.latest import BoxClosed, LatestBox


async def test_the_newest_value_wins_and_the_others_are_counted() -> None:
    box: LatestBox[int] = LatestBox()
    for value in range(5):
        box.put(value)
    assert await box.get() == 4
    assert box.dropped == 4


async def test_a_consumer_waits_for_the_next_value() -> None:
    box: LatestBox[str] = LatestBox()
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.put("now")
    assert await waiting == "now"


async def test_a_closed_box_gives_its_last_value_and_then_ends() -> None:
    box: LatestBox[int] = LatestBox()
    box.put(1)
    box.close()
    box.put(2)
    assert await box.get() == 1
    with pytest.raises(BoxClosed):
        await box.get()
