import aiohttp

from podstream_core.api import CircleResults, Results
from router.harness import Harness

PATH = "/s/lab/ball/results"


async def test_live_results_come_from_the_pod(router: Harness, http: aiohttp.ClientSession) -> None:
    session, agent, _ = await router.add()
    agent.results = Results(final=False, circle=CircleResults(frames_scored=7, rmse_px=0.5))
    async with http.get(router.url(PATH), headers=router.bearer(session)) as response:
        assert response.status == 200
        body = await response.json()
    assert body["source"] == "pod"
    assert body["phase"] == "Ready"
    assert body["results"]["circle"]["framesScored"] == 7


async def test_results_of_a_session_without_a_pod_come_from_its_status(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, _, pod = await router.add(
        phase="Completed", ended="the session is Completed", results=b'{"final":true}'
    )
    router.router.routes.remove_pod(pod.uid)
    async with http.get(router.url(PATH), headers=router.bearer(session)) as response:
        body = await response.json()
    assert body == {
        "namespace": "lab",
        "session": "ball",
        "source": "status",
        "phase": "Completed",
        "results": {"final": True},
    }


async def test_results_need_the_token(router: Harness, http: aiohttp.ClientSession) -> None:
    await router.add()
    async with http.get(router.url(PATH)) as response:
        assert response.status == 401
