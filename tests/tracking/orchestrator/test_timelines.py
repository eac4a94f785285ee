"""Intervals, the answers made from them, and how few rows they are."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from podstream_workloads.tracking.orchestrator import SqliteTimelines, StoreError
from podstream_workloads.tracking.orchestrator.clock import SystemClock
from podstream_workloads.tracking.orchestrator.timelines import merging
from podstream_workloads.tracking.orchestrator.timelines.answers import records_body
from podstream_workloads.tracking.orchestrator.timelines.merging import Merger
from podstream_workloads.tracking.orchestrator.timelines.recorder import Recorder
from podstream_workloads.tracking.orchestrator.timelines.summary import Summary
from podstream_workloads.tracking.orchestrator.timelines.values import (
    Batch,
    FeatureMapKnown,
    Interval,
    ObjectEnded,
    ObjectStarted,
)
from tracking.orchestrator.harness import FakeClock, serving, start

SECOND = 1_000_000


def interval(first_s: float, last_s: float, frames: int, camera: str = '"gate"') -> Interval:
    return Interval(
        number=1,
        camera=camera,
        first_us=int(first_s * SECOND),
        last_us=int(last_s * SECOND),
        frames=frames,
    )


def test_sightings_less_than_two_seconds_apart_are_one_interval() -> None:
    merger = Merger(Summary())
    for moment in (0.0, 1.9, 3.0, 5.0, 5.5):
        merger.sighted(1, b'"gate"', now_us=int(moment * SECOND))
    merger.sighted(1, b'"yard"', now_us=int(5.2 * SECOND))
    assert sorted(merger.take(now_us=6 * SECOND).intervals, key=lambda item: item.first_us) == [
        interval(0, 3, 3),
        interval(5, 5.5, 2),
        interval(5.2, 5.2, 1, '"yard"'),
    ]
    assert not merger.take(now_us=6 * SECOND)


def test_a_growing_interval_is_written_again_under_the_same_key() -> None:
    merger = Merger(Summary())
    merger.sighted(1, b'"gate"', now_us=0)
    assert merger.take(now_us=0).intervals == (interval(0, 0, 1),)
    merger.sighted(1, b'"gate"', now_us=SECOND)
    assert merger.take(now_us=SECOND).intervals == (interval(0, 1, 2),)


def test_a_clock_that_is_set_back_shortens_nothing() -> None:
    merger = Merger(Summary())
    for moment in (10, 4, 11):
        merger.sighted(1, b'"gate"', now_us=moment * SECOND)
    assert merger.take(now_us=11 * SECOND).intervals == (interval(10, 11, 3),)


def test_a_standing_person_takes_a_fiftieth_of_the_rows_and_less() -> None:
    merger, written, rows = Merger(Summary()), {}, 0
    for frame in range(30 * 60):
        merger.sighted(1, b'"gate"', now_us=frame * SECOND // 30)
        if frame % 30 == 29:
            for item in merger.take(now_us=frame * SECOND // 30).intervals:
                written[item.number, item.camera, item.first_us] = item
                rows += 1
    assert len(written) == 1
    assert rows <= 30 * 60 / 30


def test_what_could_not_be_written_is_written_later_and_the_newest_wins() -> None:
    merger = Merger(Summary())
    began = ObjectStarted(
        number=1, camera='"gate"', frame_id=None, box_id=None, image='"x"', started_us=0
    )
    merger.started(began)
    merger.mapped(FeatureMapKnown(number=1, feature_map="[1]"))
    merger.sighted(1, b'"gate"', now_us=0)
    failed = merger.take(now_us=0)
    merger.mapped(FeatureMapKnown(number=1, feature_map="[2]"))
    merger.sighted(1, b'"gate"', now_us=SECOND)
    merger.put_back(failed)
    again = merger.take(now_us=SECOND)
    assert again.started == (began,)
    assert again.feature_maps == (FeatureMapKnown(number=1, feature_map="[2]"),)
    assert again.intervals == (interval(0, 1, 2),)
    merger.put_back(again)
    ended = ObjectEnded(number=1, ended_us=SECOND, reason="Stopped")
    merger.ended(ended)
    last = merger.take(now_us=SECOND)
    assert (last.feature_maps, last.ended) == ((), (ended,))
    assert last.started[0].image is None


def test_what_has_waited_long_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once took a database longer than a command may, and never got through."""
    monkeypatch.setattr(merging, "MOST_WRITTEN", 2)
    merger = Merger(Summary())
    for number in range(5):
        merger.sighted(number, b'"gate"', now_us=number * SECOND)
    first = merger.take(now_us=5 * SECOND)
    assert ([item.number for item in first.intervals], merger.has_more) == ([0, 1], True)
    merger.put_back(first)
    numbers = []
    while (batch := merger.take(now_us=5 * SECOND)) or merger.has_more:
        numbers.append([item.number for item in batch.intervals])
    assert sorted(number for part in numbers for number in part) == [0, 1, 2, 3, 4]
    assert max(map(len, numbers)) == 2


async def test_a_flush_writes_all_the_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(merging, "MOST_WRITTEN", 2)
    store = SqliteTimelines(tmp_path / "timelines.sqlite3")
    recorder = Recorder(store, clock=SystemClock())
    await recorder.open()
    for number in range(5):
        recorder.sighted(number, b'"gate"')
    await recorder.flush()
    assert [len(await store.intervals(number, limit=9)) for number in range(5)] == [1] * 5
    await recorder.close()


def test_records_are_dense_enough_for_the_page_and_in_order() -> None:
    rows = json.loads(records_body([interval(0, 60, 1800), interval(3, 3, 1, "5")]))["data"]
    moments = [
        datetime.strptime(row["timeStamp"], "%Y/%m/%d | %H:%M:%S").replace(tzinfo=UTC)
        for row in rows
    ]
    assert moments == sorted(moments)
    gate = [at for at, row in zip(moments, rows, strict=True) if row["processorId"] == "gate"]
    assert max((b - a).total_seconds() for a, b in pairwise(gate)) <= 3
    assert (gate[0].second, gate[-1].minute) == (0, 1)
    assert len(gate) < 40
    assert [row["processorId"] for row in rows if row["processorId"] != "gate"] == ["5"]


def test_there_are_never_more_records_than_frames() -> None:
    assert records_body([interval(0, 0, 1)]) == (
        '{"data":[{"timeStamp": "1970/01/01 | 00:00:00", "processorId": "gate"}]}'
    )
    assert records_body([interval(0, 1.9, 2)]).count("timeStamp") == 2


def test_names_of_processors_are_quoted() -> None:
    camera = json.dumps('a"b\\')
    assert (
        json.loads(records_body([interval(0, 0, 1, camera)]))["data"][0]["processorId"] == 'a"b\\'
    )


@pytest.mark.parametrize("name", ["objectId", "object_id"])
async def test_both_names_of_the_parameter_work(name: str) -> None:
    clock = FakeClock(date=datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC).timestamp())
    async with serving(clock=clock) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        for advance in (0, 1.5, 5):
            clock.advance(advance)
            await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
            await client.next()
        await gate.nothing_more()
        url = f"{server.url}/timelines?{name}=1"
        async with server.session.get(url) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.content_type == "text/html"
            assert await response.text() == (
                '{"data":[{"timeStamp": "2026/03/01 | 23:59:59", "processorId": "gate"},'
                '{"timeStamp": "2026/03/02 | 00:00:00", "processorId": "gate"},'
                '{"timeStamp": "2026/03/02 | 00:00:05", "processorId": "gate"}]}'
            )
        status, body = await server.get(f"/timelines?{name}=1&intervals=1")
        assert status == 200
        assert json.loads(body)["data"] == [
            {
                "processorId": "gate",
                "first": "2026-03-01T23:59:59.000Z",
                "last": "2026-03-02T00:00:00.500Z",
                "frames": 2,
            },
            {
                "processorId": "gate",
                "first": "2026-03-02T00:00:05.500Z",
                "last": "2026-03-02T00:00:05.500Z",
                "frames": 1,
            },
        ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", 'Missing "objectId" query parameter'),
        ("?other=1", 'Missing "objectId" query parameter'),
        ("?objectId=1", "Object id not present in tracking history"),
        ("?objectId=999", "Object id not present in tracking history"),
        ("?object_id=999999999999999", "Object id not present in tracking history"),
        ("?objectId=../logs", "objectId is not a whole number"),
        ("?objectId=1.0", "objectId is not a whole number"),
        ("?objectId=-1", "objectId is not a whole number"),
        ("?objectId=", "objectId is not a whole number"),
        ("?objectId=%D9%A1", "objectId is not a whole number"),
        ("?objectId=" + "9" * 400, "objectId is not a whole number"),
    ],
)
async def test_a_timeline_that_is_not_there_is_400(query: str, text: str) -> None:
    async with serving() as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        async with server.session.get(f"{server.url}/timelines{query}") as response:
            assert (response.status, response.reason, await response.text()) == (400, text, text)


class Failing(SqliteTimelines):
    """A store that can be out of order, or hang."""

    fails = False
    hangs = False

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def write(self, batch: Batch) -> None:
        if self.hangs:
            await self.released.wait()
        if self.fails:
            raise StoreError("out of order")
        await super().write(batch)


async def test_a_store_that_fails_stops_nobody_and_nothing_is_lost() -> None:
    store = Failing()
    async with serving(store=store) as server:
        client, gate = await server.client(), await server.processor("gate")
        store.fails = True
        assert await start(client, gate, "gate") == 1
        await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
        await client.next()
        await gate.nothing_more()
        assert (await server.get("/timelines?objectId=1"))[0] == 503
        store.fails = False
        status, body = await server.get("/timelines?objectId=1")
        assert (status, len(json.loads(body)["data"])) == (200, 1)


async def test_a_store_that_hangs_delays_no_boxes() -> None:
    store = Failing()
    async with serving(store=store) as server:
        client, gate = await server.client(), await server.processor("gate")
        await start(client, gate, "gate")
        store.hangs = True
        await gate.say(type="boundingBoxes", frameId=-1, boxes=[{"objectId": 1}])
        await client.next()
        asking = asyncio.create_task(server.get("/timelines?objectId=1"))
        for frame in range(50):
            await gate.say(type="boundingBoxes", frameId=frame, boxes=[{"objectId": 1}])
            assert (await client.next())["frameId"] == frame
        assert not asking.done()
        store.hangs = False
        store.released.set()
        assert (await asking)[0] == 200
        assert (await server.get("/timelines?objectId=1"))[0] == 200
