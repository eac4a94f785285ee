"""What a cloud answers to bad requests and when it has all hands full."""

import asyncio
import io
import logging
from typing import Any

import aiohttp
import pytest

from podstream_workloads.tracking.intruder import Outcome, Verdict
from tracking.intruder.bombs import jpeg_bomb
from tracking.intruder.site_of import Answering, cloud_of, eventually, jpeg, room


async def test_every_error_of_the_cloud_is_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with (
        cloud_of(Answering(Verdict(Outcome.KNOWN))) as (cloud, url),
        aiohttp.ClientSession(url) as session,
    ):

        async def asked(method: str, path: str, **given: Any) -> tuple[int, str]:
            async with session.request(method, path, **given) as answer:
                assert answer.content_type == "application/json"
                return answer.status, (await answer.json())["error"]

        def form(data: bytes) -> aiohttp.FormData:
            made = aiohttp.FormData()
            made.add_field("img", io.BytesIO(data), filename="frame.jpg")
            return made

        assert await asked("GET", "/nothing") == (404, "not found")
        assert await asked("GET", "/detect_intruder") == (405, "method not allowed")
        assert await asked("POST", "/detect_intruder", data=b"{}") == (400, "no image provided")
        broken = {"Content-Type": "multipart/form-data"}
        assert (await asked("POST", "/detect_intruder", data=b"x", headers=broken))[0] == 400
        broken["Content-Type"] += "; boundary=abc"
        assert (await asked("POST", "/detect_intruder", data=b"x", headers=broken))[0] == 400
        text = await asked("POST", "/detect_intruder", data=form(b"no picture"))
        assert text == (400, "the image is neither JPEG nor PNG")
        status, words = await asked("POST", "/detect_intruder", data=form(jpeg_bomb()))
        assert (status, "pixels" in words) == (400, True)
        assert (await asked("POST", "/detect_intruder", data=form(bytes(6_000_000))))[0] == 413
        many = aiohttp.FormData()
        for number in range(40):
            many.add_field(f"field{number}", "x", content_type="text/plain")
        assert await asked("POST", "/detect_intruder", data=many) == (400, "more than 16 fields")
        assert cloud.results().refused == 9


async def test_a_cloud_with_all_hands_full_says_so() -> None:
    recogniser = Answering(Verdict(Outcome.KNOWN), delay_s=600)
    async with (
        cloud_of(recogniser) as (cloud, url),
        aiohttp.ClientSession(url) as session,
    ):

        async def ask() -> int:
            form = aiohttp.FormData()
            form.add_field("img", jpeg(room()), filename="frame.jpg")
            async with session.post("/detect_intruder", data=form) as answer:
                return answer.status

        asks = [asyncio.create_task(ask()) for _ in range(8)]
        await eventually(lambda: len(recogniser.asked) == 8)
        assert await ask() == 503
        for task in asks:
            task.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        assert cloud.results().refused == 1
