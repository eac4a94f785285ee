"""Which tracking sessions the real API server accepts, and in what words it refuses the others."""

from typing import Any

import pytest

from chart.server import session, submit

pytestmark = pytest.mark.e2e

FILE: dict[str, Any] = {"type": "File", "file": {"claimName": "films", "path": "a.mp4"}}
GALLERY: dict[str, Any] = {"gallery": {"claimName": "faces", "path": "known.npz"}}
AWS: dict[str, Any] = {"credentialsSecretRef": {"name": "aws"}}
DATABASE: dict[str, Any] = {"urlSecretRef": {"name": "db"}}


def site(**orchestrator: Any) -> dict[str, Any]:
    return {"orchestrator": orchestrator}


def camera(**more: Any) -> dict[str, Any]:
    return {"camera": {"id": "gate", "siteRef": {"name": "yard"}, **more}}


def cloud(**recognition: Any) -> dict[str, Any]:
    return {"recognition": recognition}


ACCEPTED = [
    pytest.param(site(), id="site"),
    pytest.param(site(origins=["https://site.example"]), id="origins"),
    pytest.param(
        site(timelines={"store": "PostgreSQL", "postgresql": DATABASE}), id="site-with-database"
    ),
    pytest.param(camera(), id="camera"),
    pytest.param(camera(source=FILE, truth=FILE["file"]), id="film-with-truth"),
    pytest.param(
        camera(source={"type": "File", "file": {"configMapName": "f", "path": "a.mp4"}}),
        id="film-in-a-config-map",
    ),
    pytest.param(
        camera(source={"type": "RTSP", "rtsp": {"url": "rtsp://u:p@camera.example/live"}}),
        id="rtsp",
    ),
    pytest.param(camera(source={"type": "WHIP"}), id="whip"),
    pytest.param(camera(source={"type": "SocketIO"}), id="socket-io"),
    pytest.param(cloud(**GALLERY), id="local"),
    pytest.param(cloud(method="Rekognition", rekognition=AWS), id="rekognition"),
    pytest.param({"edge": {"cloudRef": {"name": "cloud"}, "evidencePictures": 20}}, id="evidence"),
]
REFUSED = [
    pytest.param(site(timelines={"store": "PostgreSQL"}), "belong together", id="no-url"),
    pytest.param(site(timelines={"postgresql": DATABASE}), "belong together", id="no-store"),
    pytest.param(
        site(
            timelines={
                "store": "PostgreSQL",
                "postgresql": DATABASE,
                "volume": {"claimName": "site"},
            }
        ),
        "a volume is for store SQLite",
        id="database-and-volume",
    ),
    pytest.param(site(origins=["site.example"]), "spec.tracking.orchestrator.origins", id="origin"),
    pytest.param(camera(source={"type": "RTSP"}), "rtsp belong together", id="no-rtsp-url"),
    pytest.param(
        camera(source={"type": "RTSP", "rtsp": {"url": "http://camera"}}),
        "spec.tracking.camera.source.rtsp.url",
        id="http-url",
    ),
    pytest.param(camera(source={"type": "File"}), "file belong together", id="no-file"),
    pytest.param(
        camera(
            source={
                "type": "File",
                "file": {"claimName": "a", "configMapName": "b", "path": "a.mp4"},
            }
        ),
        "the file has to be in one place",
        id="file-in-two-places",
    ),
    pytest.param(camera(truth=FILE["file"]), "truth is of a file that ends", id="drawn-truth"),
    pytest.param(
        camera(source={"type": "File", "file": {**FILE["file"], "loop": True}}, truth=FILE["file"]),
        "truth is of a file that ends",
        id="looped-truth",
    ),
    pytest.param(cloud(), "set gallery or rekognition", id="nobody-known"),
    pytest.param(
        cloud(method="Rekognition", rekognition=AWS, **GALLERY),
        "set gallery or rekognition",
        id="two-ways",
    ),
    pytest.param(
        cloud(method="Rekognition", rekognition=AWS, threshold=0.5),
        "threshold is of method Local",
        id="threshold",
    ),
    pytest.param(cloud(method="Rekognition", **GALLERY), "belong together", id="no-credentials"),
]


@pytest.mark.parametrize("tracking", ACCEPTED)
def test_a_tracking_session_is_accepted(namespace: str, tracking: dict[str, Any]) -> None:
    answer = submit(session({"tracking": tracking}), namespace=namespace)
    assert answer.accepted, answer.text


@pytest.mark.parametrize(("tracking", "words"), REFUSED)
def test_a_tracking_session_is_refused(
    namespace: str, tracking: dict[str, Any], words: str
) -> None:
    answer = submit(session({"tracking": tracking}), namespace=namespace)
    assert not answer.accepted
    assert words in answer.text
