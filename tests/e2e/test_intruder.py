"""Intruder detection as `make demo SAMPLE=intruder` shows it: every part a pod, devices policed.

And the cloud of it, asked as an edge asks it: through the router, with the session's token.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from e2e import kube
from e2e.sessions import Session
from podstream_dev.intruder import objects
from podstream_dev.intruder.cluster import Cluster
from podstream_dev.intruder.play import Outcome, clear, play
from tracking.intruder.bombs import jpeg_bomb
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import jpeg, room

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        os.environ.get("CLUSTER") == "kind", reason="KIND's test kit enforces no NetworkPolicy"
    ),
]


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    """Of the demo; its cloud is there for as long as the tests of this file run."""
    cluster = Cluster({})
    try:
        yield play(cluster, cameras=2)
    finally:
        clear(cluster)


@asynccontextmanager
async def cloud() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the demo's cloud."""
    made = Session(objects.CLOUD)
    token = {"Authorization": f"Bearer {made.token()}"}
    async with aiohttp.ClientSession(made.endpoint("HTTP"), headers=token) as http:
        yield http


async def detect(http: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any]:
    """What `POST detect_intruder` answers."""
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        kind = {"filename": "frame.jpg", "content_type": "image/jpeg"}
        form.add_field(name, value, **(kind if isinstance(value, bytes) else {}))
    async with http.post("detect_intruder", data=form) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


def test_the_demo_ends_as_drawn_and_its_cameras_cannot_reach_the_cloud(outcome: Outcome) -> None:
    print(outcome)
    assert outcome.faults == []
    # The same dial, from the same pod: what the policy leaves open and what it closes.
    assert (outcome.edge_reachable, outcome.cloud_reachable) == (True, False)


@pytest.mark.usefixtures("outcome")
async def test_the_clouds_api_answers_and_refuses_in_json() -> None:
    async with cloud() as http:
        async with http.get("health") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "healthy"})
        known, stranger = (jpeg(room(portrait(person(seed)))) for seed in (1, 20))
        assert await detect(http, img=known, device_id="1") == (200, {"result": False})
        assert await detect(http, img=stranger, device_id="1") == (200, {"result": True})
        nothing = (400, {"error": "no image provided"})
        assert await detect(http, img=b"", device_id="1") == nothing
        assert await detect(http, device_id="1") == nothing
        for bad in (b"no picture", jpeg_bomb()):
            status, words = await detect(http, img=bad, device_id="1")
            assert (status, list(words)) == (400, ["error"])


@pytest.mark.usefixtures("outcome")
async def test_no_face_is_no_silent_intruder() -> None:
    before = _figures().get("undetermined", 0)
    async with cloud() as http:
        status, words = await detect(http, img=jpeg(room()), device_id="1")
    assert (status, words["result"]) == (200, False)
    assert "face" in words["reason"]
    kube.until(lambda: _figures().get("undetermined", 0) > before, what="the cloud's figures")


@pytest.mark.usefixtures("outcome")
async def test_without_its_token_nobody_asks_the_cloud() -> None:
    async with aiohttp.ClientSession(Session(objects.CLOUD).endpoint("HTTP")) as http:
        for path in ("detect_intruder", "health"):
            async with http.post(path, data=json.dumps({})) as answer:
                assert answer.status == 401


def _figures() -> dict[str, Any]:
    results = Session(objects.CLOUD).status.get("results") or {}
    found: dict[str, Any] = (results.get("tracking") or {}).get("recognition") or {}
    return found
