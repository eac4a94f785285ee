"""SQLite and a real PostgreSQL keep the same things in the same way."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from podstream_workloads.tracking.orchestrator import (
    SqliteTimelines,
    StoreError,
    TimelineStore,
    store_of,
)
from podstream_workloads.tracking.orchestrator.timelines.values import (
    Batch,
    FeatureMapKnown,
    Interval,
    Kept,
    KeptObject,
    ObjectEnded,
    ObjectStarted,
    ObjectTimeline,
)
from tracking.orchestrator.harness import serving, start
from tracking.orchestrator.postgres_server import HOW_TO_INSTALL, Postgres, find_programs, postgres

STARTED = ObjectStarted(
    number=1, camera='"gate"', frame_id="5.0", box_id="0", image='"x"', started_us=1_000
)
SEEN = Interval(number=1, camera='"gate"', first_us=2_000, last_us=3_000, frames=2)
Again = Callable[[], TimelineStore]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    programs = find_programs()
    if programs is None:
        pytest.skip(HOW_TO_INSTALL)
    with postgres(programs) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Again:
    """Makes a store over the same data each time."""
    if request.param == "sqlite":
        return lambda: store_of(str(tmp_path / "site.sqlite3"))
    running: Postgres = request.getfixturevalue("server")
    return lambda: store_of(running.url, site=tmp_path.name)


@pytest.fixture
async def store(again: Again) -> AsyncIterator[TimelineStore]:
    made = again()
    await made.open()
    yield made
    await made.close()


async def test_a_new_store_knows_nothing(again: Again) -> None:
    store = again()
    assert await store.open() == Kept()
    assert await store.intervals(1, limit=10) == []
    await store.close()
    await store.close()
    with pytest.raises(StoreError):
        await store.write(Batch(started=(STARTED,)))


async def test_what_was_written_is_there_for_the_next_run(
    again: Again, store: TimelineStore
) -> None:
    second = replace(STARTED, number=2, frame_id=None, box_id=None, image=None)
    await store.write(
        Batch(
            started=(STARTED, second, replace(STARTED, number=3)),
            feature_maps=(FeatureMapKnown(number=1, feature_map="[1.0, 2]"),),
            ended=(ObjectEnded(number=3, ended_us=9, reason="Stopped"),),
            intervals=(SEEN, structs.replace(SEEN, camera='"yard"', first_us=2_500, last_us=9_000)),
        )
    )
    later = again()
    kept = await later.open()
    await later.close()
    assert kept == Kept(
        last_number=3,
        live=(
            KeptObject(started=STARTED, feature_map="[1.0, 2]", seen_us=9_000),
            KeptObject(started=second, feature_map=None, seen_us=1_000),
        ),
        sighted_objects=1,
        timelines=(
            ObjectTimeline(
                number=1,
                cameras=('"gate"', '"yard"'),
                intervals=2,
                frames=4,
                first_us=2_000,
                last_us=9_000,
            ),
        ),
    )


async def test_writing_a_batch_twice_changes_nothing(store: TimelineStore) -> None:
    grown = structs.replace(SEEN, last_us=4_000, frames=5)
    for batch in (
        Batch(started=(STARTED,), intervals=(SEEN,)),
        Batch(intervals=(grown,)),
        Batch(started=(STARTED,), intervals=(SEEN,)),
    ):
        await store.write(batch)
    assert await store.intervals(1, limit=10) == [grown]


async def test_the_newest_intervals_come_the_earliest_first(store: TimelineStore) -> None:
    many = [structs.replace(SEEN, first_us=moment, last_us=moment) for moment in range(500)]
    await store.write(Batch(started=(STARTED,), intervals=tuple(reversed(many))))
    assert await store.intervals(1, limit=1000) == many
    assert await store.intervals(1, limit=3) == many[-3:]
    assert await store.intervals(2, limit=3) == []


async def test_a_batch_is_written_whole_or_not_at_all(again: Again, store: TimelineStore) -> None:
    broken = structs.replace(SEEN, number=None)  # what no table takes
    with pytest.raises(StoreError):
        await store.write(Batch(started=(STARTED,), intervals=(SEEN, broken)))
    assert await store.intervals(1, limit=10) == []
    later = again()
    assert await later.open() == Kept()
    await later.close()


async def test_an_orchestrator_goes_on_where_another_one_ended(again: Again) -> None:
    async with serving(store=again()) as first:
        client, gate = await first.client(), await first.processor("gate")
        await start(client, gate, "gate", image="x")
        await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
        await client.next()
        await gate.nothing_more()
        before = await first.get("/timelines?objectId=1&intervals=1")
        assert before[0] == 200
    async with serving(store=again()) as second:
        gate = await second.processor("gate")
        await gate.expect(type="featureMap", objectId=1, featureMap={})
        await gate.expect(type="start", objectId=1, image="x")
        assert await second.get("/timelines?objectId=1&intervals=1") == before
        assert await start(await second.client(), gate, "gate") == 2


async def test_sites_that_share_a_database_do_not_see_each_other(server: Postgres) -> None:
    one, other = store_of(server.url, site="ns/one"), store_of(server.url, site="ns/other")
    await asyncio.gather(one.open(), other.open())  # both make the tables
    await one.write(Batch(started=(STARTED,), intervals=(SEEN,)))
    assert await other.intervals(1, limit=1) == []
    await other.close()
    assert await other.open() == Kept()
    for store in (one, other):
        await store.close()


async def test_a_database_that_comes_back_gets_what_it_missed(server: Postgres) -> None:
    async with serving(store=store_of(server.url, site="comes-back")) as site:
        client, gate = await site.client(), await site.processor("gate")
        await start(client, gate, "gate")
        await asyncio.to_thread(server.stop)
        try:
            await gate.say(type="boundingBoxes", frameId=1, boxes=[{"objectId": 1}])
            await client.next()
            await gate.nothing_more()
            assert (await site.get("/timelines?objectId=1"))[0] == 503
            assert await start(client, gate, "gate") == 2
        finally:
            await asyncio.to_thread(server.start)
        status, body = await site.get("/timelines?objectId=1")
        assert (status, len(json.loads(body)["data"])) == (200, 1)
        store = store_of(server.url, site="comes-back")
        assert (await store.open()).last_number == 2
        await store.close()


@pytest.mark.parametrize(
    "database",
    ["postgresql://nobody@127.0.0.1:1/none", "postgresql://[", "/nowhere/at/all.sqlite3"],
)
async def test_a_store_that_is_not_there_says_so(database: str) -> None:
    store = store_of(database)
    with pytest.raises(StoreError):
        await store.open()
    await store.close()


async def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "site.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        await SqliteTimelines(file).open()
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="SQLite"):
        await SqliteTimelines(file).open()
