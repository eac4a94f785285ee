import hashlib

import aiohttp
import pytest

from podstream_core.names import VIEW_CLAIM, VIEW_SCOPE
from podstream_router.downloads import content_type
from router.harness import Harness, until

FILE = "stream-cam_video.avi"
PATH = f"/s/lab/ball/results/{FILE}"
CONTENT = bytes(range(256)) * 4096


async def test_a_file_of_the_pod_is_downloaded(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT
    async with http.get(router.url(PATH), headers=router.bearer(session)) as response:
        assert response.status == 200
        assert await response.read() == CONTENT
        assert response.headers["Content-Length"] == str(len(CONTENT))
        assert response.headers["Podstream-Sha256"] == hashlib.sha256(CONTENT).hexdigest()
        assert response.headers["Content-Disposition"] == 'attachment; filename="cam_video.avi"'
        assert response.headers["Content-Type"] == "video/x-msvideo"


async def test_a_player_seeks_in_a_file(router: Harness, http: aiohttp.ClientSession) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT
    bearer = router.bearer(session)
    async with http.get(router.url(PATH), headers={**bearer, "Range": "bytes=5-9"}) as response:
        assert response.status == 206
        assert await response.read() == CONTENT[5:10]
        assert response.headers["Content-Range"] == f"bytes 5-9/{len(CONTENT)}"
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    behind = {**bearer, "Range": f"bytes={len(CONTENT)}-"}
    async with http.get(router.url(PATH), headers=behind) as response:
        assert response.status == 416
        assert (await response.json())["error"] == "RangeNotSatisfiable"


async def test_a_player_opens_a_film_by_its_url_alone(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT
    url = router.url(f"{PATH}?token={router.token(session)}")
    async with http.get(url, headers={"Range": "bytes=-4"}) as response:
        assert (response.status, await response.read()) == (206, CONTENT[-4:])
    view = router.token(session, claims={VIEW_CLAIM: VIEW_SCOPE})
    for token, status in ((view, 403), ("wrong", 401)):
        async with http.get(router.url(f"{PATH}?token={token}")) as response:
            assert response.status == status


PLAYLIST = """#EXTM3U
#EXT-X-MAP:URI="stream-recording.m4s"
#EXTINF:2.000,
#EXT-X-BYTERANGE:10@5
stream-cam.mp4
"""


async def test_a_playlist_hands_its_token_on_to_what_it_names(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts["stream-recording.m3u8"] = PLAYLIST.encode()
    url = router.url("/s/lab/ball/results/stream-recording.m3u8")
    token = router.token(session)
    async with http.get(f"{url}?token={token}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("application/vnd.apple.mpegurl")
        assert response.headers["Cache-Control"] == "private, no-cache"
        lines = (await response.text()).splitlines()
    assert lines[1] == f'#EXT-X-MAP:URI="stream-recording.m4s?token={token}"'
    assert lines[-1] == f"stream-cam.mp4?token={token}"
    async with http.get(url, headers=router.bearer(session)) as response:
        assert await response.text() == PLAYLIST
    async with http.get(url) as response:
        assert response.status == 401


@pytest.mark.parametrize("file", ["stream-other.avi", "a%2F..%2Fb", "..%2Fstate"])
async def test_what_the_pod_has_not_finished_is_not_there(
    router: Harness, http: aiohttp.ClientSession, file: str
) -> None:
    session, _, _ = await router.add()
    url = router.url(f"/s/lab/ball/results/{file}")
    async with http.get(url, headers=router.bearer(session)) as response:
        assert response.status == 404


async def test_a_file_needs_the_session_s_token(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    _, agent, _ = await router.add()
    other, _, _ = await router.add("other")
    agent.artefacts[FILE] = CONTENT
    async with http.get(router.url(PATH)) as response:
        assert response.status == 401
    async with http.get(router.url(PATH), headers=router.bearer(other)) as response:
        assert response.status == 403


async def test_a_file_goes_with_its_pod(router: Harness, http: aiohttp.ClientSession) -> None:
    session, _, pod = await router.add()
    router.router.routes.remove_pod(pod.uid)
    async with http.get(router.url(PATH), headers=router.bearer(session)) as response:
        assert response.status == 410
        assert (await response.json())["error"] == "SessionEnded"


async def test_a_part_is_not_taken_for_the_whole(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE], agent.cut_artefacts = CONTENT, True
    with pytest.raises(aiohttp.ClientError):
        async with http.get(router.url(PATH), headers=router.bearer(session)) as response:
            await response.read()
    await until(lambda: router.router._streaming.count == 0)


async def test_a_client_that_leaves_is_no_fault_of_the_pod(
    router: Harness, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT * 64
    response = await http.get(router.url(PATH), headers=router.bearer(session))
    await response.content.readexactly(1000)
    with caplog.at_level("INFO"):
        response.close()
        await until(lambda: router.router._streaming.count == 0)
    said = [record for record in caplog.records if record.name.startswith("podstream_router")]
    assert "download broke off" not in [record.getMessage() for record in said]
    assert not [record for record in said if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "video/mp4"),
        ("a.avi", "video/x-msvideo"),
        ("a.csv", "text/csv"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.svg", "application/octet-stream"),
        ("a.html", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_nothing_is_named_as_what_a_browser_would_run(name: str, kind: str) -> None:
    assert content_type(name) == kind
