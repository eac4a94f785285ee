"""A cloud as its agent runs it, with Rekognition in its spec."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.context import Context
from podstream_core import names
from podstream_core.api import RecognitionResults, TrackingRecognition
from podstream_workloads.agent import SpecRejected
from podstream_workloads.tracking.members.intruder import CloudMember
from tracking.intruder.aws_secret import KNOWN, write_secret
from tracking.intruder.fake_rekognition import FakeRekognition
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import jpeg, room, serving

STRANGER = 20


@pytest.fixture
def volumes(tmp_path: Path, secret: Path, faces: Path) -> Path:
    """Secret and faces where a pod finds them."""
    folder = tmp_path / "volumes"
    (folder / "tracking").mkdir(parents=True)
    (folder / names.TRACKING_CREDENTIALS).symlink_to(secret)
    (folder / names.TRACKING_FACES).symlink_to(faces.parent)
    return folder


@asynccontextmanager
async def cloud(
    fake: FakeRekognition, *, volumes: Path, **more: Any
) -> AsyncIterator[tuple[CloudMember, str]]:
    """A cloud that asks the fake service, and its base URL."""
    async with serving(fake.app()) as aws:
        settings = {
            "credentialsSecretRef": {"name": "aws"},
            "endpointUrl": aws,
            "faces": {"claimName": "people", "path": "known_faces"},
            **more,
        }
        spec = TrackingRecognition.from_body({"method": "Rekognition", "rekognition": settings})
        member = CloudMember(spec, volumes=volumes)
        try:
            async with serving(await member.open(Context(volumes))) as url:
                yield member, url
        finally:
            await member.close()


async def ask(url: str, picture: Any) -> dict[str, Any]:
    form = aiohttp.FormData({"device_id": "1"})
    form.add_field("img", jpeg(picture), filename="a.jpg", content_type="image/jpeg")
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/detect_intruder", data=form) as answer,
    ):
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


def figures(member: CloudMember) -> RecognitionResults:
    found = member.results().recognition
    assert found is not None
    return found


async def test_known_stranger_and_nobody_by_the_spec_s_collection(volumes: Path) -> None:
    fake = FakeRekognition()
    async with cloud(fake, volumes=volumes, collection="north") as (member, url):
        assert await ask(url, portrait(person(KNOWN))) == {"result": False}
        assert await ask(url, portrait(person(STRANGER))) == {"result": True}
        assert await ask(url, room()) == {"result": False, "reason": "no face found"}
        found = figures(member)
    assert (found.known, found.unknown, found.undetermined) == (1, 1, 1)
    assert len(fake.collections["north"]) == 3


async def test_a_rotated_secret_is_used_without_a_restart(volumes: Path, secret: Path) -> None:
    fake = FakeRekognition()
    async with cloud(fake, volumes=volumes) as (_, url):
        write_secret(secret, "AKIANEXT", token="session-token")
        fake.accepted_key, fake.accepted_token = "AKIANEXT", "session-token"
        assert await ask(url, portrait(person(KNOWN))) == {"result": False}
    assert fake.keys[-1] == "AKIANEXT"


async def test_status_says_what_is_wrong_before_anybody_asks(volumes: Path) -> None:
    fake = FakeRekognition(fault="AccessDeniedException")
    async with cloud(fake, volumes=volumes) as (member, _):
        assert "AccessDeniedException" in (figures(member).message or "")


def test_a_cloud_that_knows_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecRejected, match="gallery or rekognition"):
        CloudMember(TrackingRecognition(), volumes=tmp_path)
