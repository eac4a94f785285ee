"""boto3 against an own Rekognition over a loopback socket; every failure is undetermined."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podstream_workloads.tracking.intruder.recognisers.rekognition import (
    RekognitionRecogniser,
    RekognitionSettings,
    external_id,
)
from podstream_workloads.tracking.intruder.verdict import Outcome
from tracking.intruder.aws_secret import KNOWN, write_secret
from tracking.intruder.fake_rekognition import FakeRekognition
from tracking.intruder.rendered_faces import alter, person, portrait
from tracking.intruder.site_of import cloud_of, device, edge_of, jpeg, room, serving

STRANGER = 20


@asynccontextmanager
async def recogniser_of(
    fake: FakeRekognition, *, secret: Path, faces: Path | None = None, **options: float
) -> AsyncIterator[RekognitionRecogniser]:
    async with serving(fake.app()) as url:
        settings = RekognitionSettings(
            credentials=secret,
            endpoint_url=url,
            faces=faces,
            **options,  # type: ignore[arg-type]
        )
        recogniser = RekognitionRecogniser(settings)
        await recogniser.open()
        try:
            yield recogniser
        finally:
            await recogniser.close()


async def test_known_stranger_and_nobody(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        known = await recogniser.recognise(
            jpeg(alter(portrait(person(KNOWN)), gain=0.8, jpeg=60)), track="1"
        )
        stranger = await recogniser.recognise(jpeg(portrait(person(STRANGER))), track="1")
        nobody = await recogniser.recognise(jpeg(room()), track="1")

    assert (known.outcome, known.name) == (Outcome.KNOWN, f"person_{KNOWN}")
    assert stranger.outcome is Outcome.UNKNOWN
    assert (nobody.outcome, nobody.reason) == (Outcome.UNDETERMINED, "no face found")
    assert sorted(name for name, _ in fake.collections["known_persons"]) == [
        "person_1", "person_2", "person_3",
    ]  # fmt: skip


async def test_a_second_start_indexes_nobody_again(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    for _ in range(2):
        async with recogniser_of(fake, secret=secret, faces=faces):
            pass
    assert fake.count("CreateCollection") == 2
    assert fake.count("IndexFaces") == 3


async def test_throttling_is_waited_out_within_the_tries(secret: Path, faces: Path) -> None:
    fake = FakeRekognition(throttle=2)
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
        assert verdict.outcome is Outcome.KNOWN
        assert fake.count("SearchFacesByImage") == 3

        fake.throttle = 100
        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
    assert verdict.outcome is Outcome.UNDETERMINED
    assert "ProvisionedThroughputExceeded" in verdict.reason
    assert fake.count("SearchFacesByImage") == 6


@pytest.mark.parametrize(
    "fault", ["AccessDeniedException", "InternalServerError", "ExpiredTokenException"]
)
async def test_errors_of_the_service_are_undetermined(
    secret: Path, faces: Path, fault: str
) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        fake.fault = fault
        verdict = await recogniser.recognise(jpeg(portrait(person(STRANGER))), track="1")
    assert verdict.outcome is Outcome.UNDETERMINED
    assert fault in verdict.reason


async def test_an_answer_that_makes_no_sense_is_undetermined(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        fake.broken = True
        verdict = await recogniser.recognise(jpeg(portrait(person(STRANGER))), track="1")
    assert verdict.outcome is Outcome.UNDETERMINED


async def test_a_service_that_is_slow_beyond_the_timeout_is_undetermined(
    secret: Path, faces: Path
) -> None:
    fake = FakeRekognition()
    async with recogniser_of(
        fake, secret=secret, faces=faces, timeout_s=0.2, tries=1
    ) as recogniser:
        fake.delay_s = 30
        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
        assert verdict.outcome is Outcome.UNDETERMINED
        assert "Timeout" in verdict.reason


async def test_a_deleted_collection_is_made_again(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        fake.collections.clear()
        first = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
        second = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
    assert (first.outcome, second.outcome) == (Outcome.UNDETERMINED, Outcome.KNOWN)


async def test_credentials_are_read_again_when_the_secret_is_rotated(
    secret: Path, faces: Path
) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        assert set(fake.keys) == {"AKIAFIRST"}
        write_secret(secret, "AKIASECOND", token="session-token")
        fake.accepted_key, fake.accepted_token = "AKIASECOND", "session-token"

        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")

    assert verdict.outcome is Outcome.KNOWN
    assert fake.keys[-1] == "AKIASECOND"


async def test_the_credentials_file_of_the_aws_tools_is_read(secret: Path, faces: Path) -> None:
    folder = secret.parent / "tools"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = a%b\n"
    )
    fake = FakeRekognition(accepted_key="AKIAFILE")
    async with recogniser_of(fake, secret=folder, faces=faces) as recogniser:
        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
    assert verdict.outcome is Outcome.KNOWN


async def test_no_credentials_is_undetermined_and_over_when_they_come(
    tmp_path: Path, secret: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "podstream_workloads.tracking.intruder.recognisers.rekognition._PREPARE_AGAIN_S", 0.0
    )
    fake, late = FakeRekognition(), tmp_path / "late"
    late.mkdir()
    async with recogniser_of(fake, secret=late, faces=faces) as recogniser:
        before = await recogniser.recognise(jpeg(portrait(person(STRANGER))), track="1")
        write_secret(late, "AKIALATE")
        after = await recogniser.recognise(jpeg(portrait(person(STRANGER))), track="1")
    assert (before.outcome, "no credentials" in before.reason) == (Outcome.UNDETERMINED, True)
    assert after.outcome is Outcome.UNKNOWN


async def test_one_search_per_track_and_interval(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces, track_interval_s=300) as recogniser:
        picture = jpeg(portrait(person(KNOWN)))
        verdicts = [await recogniser.recognise(picture, track="gate/7") for _ in range(5)]
        await recogniser.recognise(picture, track="gate/8")
    assert {verdict.outcome for verdict in verdicts} == {Outcome.KNOWN}
    assert fake.count("SearchFacesByImage") == 2


async def test_the_bucket_bounds_searches(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with recogniser_of(
        fake, secret=secret, faces=faces, requests_per_s=0.001, burst=2, wait_s=0.05
    ) as recogniser:
        picture = jpeg(portrait(person(KNOWN)))
        verdicts = await asyncio.gather(
            *(recogniser.recognise(picture, track=str(index)) for index in range(6))
        )
    assert [verdict.outcome for verdict in verdicts].count(Outcome.KNOWN) == 2
    assert fake.count("SearchFacesByImage") == 2


async def test_no_credentials_reach_a_log_or_a_reason(
    secret: Path, faces: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_secret(secret, "AKIASHOWN", token="very-secret-token")
    fake = FakeRekognition()
    async with recogniser_of(fake, secret=secret, faces=faces) as recogniser:
        fake.fault = "ExpiredTokenException"
        verdict = await recogniser.recognise(jpeg(portrait(person(KNOWN))), track="1")
    assert "very-secret-token" not in caplog.text + verdict.reason


async def test_the_whole_path_with_rekognition(secret: Path, faces: Path) -> None:
    fake = FakeRekognition()
    async with serving(fake.app()) as aws_url:
        recogniser = RekognitionRecogniser(
            RekognitionSettings(credentials=secret, endpoint_url=aws_url, faces=faces)
        )
        async with (
            cloud_of(recogniser) as (cloud, cloud_url),
            edge_of(cloud_url) as (edge, edge_url),
            device(edge_url) as camera,
        ):
            await camera.send("gate_frame1.jpg", jpeg(room(portrait(person(KNOWN)))))
            await camera.until("frame_processed")
            assert camera.count("alarm_event") == 0
            await camera.send("gate_frame2.jpg", jpeg(room(portrait(person(STRANGER)))))
            await camera.until("alarm_event")
            await camera.until("frame_processed", 2)

            fake.fault = "InternalServerError"
            await camera.send("gate_frame3.jpg", jpeg(room(portrait(person(STRANGER)))))
            await camera.until("frame_processed", 3)

            assert camera.count("alarm_event") == 1
            figures = cloud.results()
            assert (figures.known, figures.unknown, figures.undetermined) == (1, 1, 1)
            assert "InternalServerError" in figures.last_reason
            assert edge.results().undetermined == 1


def test_names_become_what_rekognition_takes() -> None:
    assert external_id("Ada König 2.jpg") == "Ada_K_nig_2.jpg"
