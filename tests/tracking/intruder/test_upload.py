"""The upload page: its texts, its policy, and the plots it draws itself."""

import re
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import web

from podstream_workloads.tracking.intruder import (
    CloudSettings,
    IntruderEdgeSettings,
    Outcome,
    Verdict,
)
from podstream_workloads.tracking.intruder.boxplot import box_plots
from podstream_workloads.tracking.intruder.latency import Durations, spread
from podstream_workloads.tracking.intruder.upload import Sent, UploadPage
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import Answering, cloud_of, device, edge_of, jpeg, room, serving

PAGE = IntruderEdgeSettings(upload_page=True)


async def uploaded(session: aiohttp.ClientSession, data: bytes, **given: Any) -> tuple[int, str]:
    """Status and message of an upload."""
    form = aiohttp.FormData()
    form.add_field(given.get("field", "image"), data, filename=given.get("filename", "a.jpg"))
    async with session.post("/upload", data=form) as answer:
        return answer.status, (await answer.json())["message"]


async def test_an_uploaded_stranger_raises_the_sites_alarm() -> None:
    async with (
        cloud_of(Answering(Verdict(Outcome.UNKNOWN))) as (_, cloud_url),
        edge_of(cloud_url, settings=PAGE) as (edge, url),
        device(url) as alarm,
        aiohttp.ClientSession(url) as session,
    ):
        status, message = await uploaded(session, jpeg(room(portrait(person(20)))))
        assert status == 200
        assert re.fullmatch(r"Successfully sent image: demo_\d+\.jpg", message)
        await alarm.until("alarm_event")
        assert alarm.count("frame_processed") == 0
        assert edge.results().processed == 1


async def test_the_stated_answers_to_bad_uploads() -> None:
    async with (
        edge_of("http://127.0.0.1:9", settings=PAGE) as (_, url),
        aiohttp.ClientSession(url) as session,
    ):
        async with session.post("/upload", data=b"x") as answer:
            assert (answer.status, await answer.json()) == (400, {"message": "No image provided"})
        assert await uploaded(session, b"x", field="other") == (400, "No image provided")
        assert await uploaded(session, b"", filename="") == (400, "No image selected")
        assert await uploaded(session, b"") == (400, "No image selected")
        status, message = await uploaded(session, b"no picture")
        assert (status, message.startswith("Failed to send image")) == (500, True)


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    async with (
        edge_of("http://127.0.0.1:9", settings=PAGE) as (_, url),
        aiohttp.ClientSession(url) as session,
    ):
        for path in ("/", "/upload", "/upload.css", "/upload.js", "/latency.svg"):
            async with session.get(path) as answer:
                text = await answer.text()
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert "//" not in text.replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", text)


async def test_no_page_unless_it_is_wanted() -> None:
    async with (
        edge_of("http://127.0.0.1:9") as (_, url),
        aiohttp.ClientSession(url) as session,
    ):
        for path in ("/", "/upload", "/latency.svg"):
            async with session.get(path) as answer:
                assert answer.status == 404


async def test_the_cloud_has_the_page_too() -> None:
    recogniser = Answering(Verdict(Outcome.KNOWN))
    async with (
        cloud_of(recogniser, CloudSettings(upload_page=True)) as (cloud, url),
        aiohttp.ClientSession(url) as session,
    ):
        status, _ = await uploaded(session, jpeg(room()))
        assert (status, cloud.results().known) == (200, 1)
        async with session.get("/latency.svg") as answer:
            assert "of 1<" in await answer.text()


async def test_a_sender_that_fails_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(name: str, picture: bytes) -> Sent:
        raise RuntimeError(name)

    app = web.Application()
    UploadPage(fail, plots={}, max_bytes=1000).add_to(app)
    async with serving(app) as url, aiohttp.ClientSession(url) as session:
        assert await uploaded(session, b"x") == (500, "Failed to send image")
    assert "could not be sent" in caplog.text


def test_box_plots_show_what_was_measured() -> None:
    durations = Durations()
    for value in (10, 20, 30, 40, 50, 5000):
        durations.add(value / 1000)
    plot = spread(durations.milliseconds())
    assert plot is not None
    assert (plot.count, plot.low, plot.high) == (6, 10, 50)
    assert plot.median == pytest.approx(35)
    assert plot.outliers == (5000,)

    drawn = box_plots({"round trip": plot, "a<b": None})
    root = ElementTree.fromstring(drawn)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "round trip" in texts
    assert "a<b" in texts
    assert "none yet" in texts
    assert "median 35.0 ms of 6" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 1


def test_only_the_last_durations_are_kept() -> None:
    durations = Durations(kept=3)
    for value in range(10):
        durations.add(value)
    assert durations.milliseconds() == (7000, 8000, 9000)
    assert spread(()) is None
