"""Lists of more objects than one answer holds."""

import pytest
from kubernetes.aio.client import Configuration

from fakes.kube_api import running_kube_api
from fakes.world import NAMESPACE, session_body
from podstream_core import names
from podstream_operator.cluster.aio_client import LIST_PART, AioKubeClient
from podstream_operator.errors import ApiUnavailable

SESSIONS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.SESSION_PLURAL}"


def ignore(*, verb: str, resource: str, code: str) -> None:
    del verb, resource, code


async def test_list_goes_on_until_everything_was_seen_once() -> None:
    async with running_kube_api() as api:
        wanted = {f"ball-{number}" for number in range(2 * LIST_PART + 1)}
        for name in wanted:
            await api.create(names.SESSION_PLURAL, session_body(name))
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        found = [body["metadata"]["name"] async for body in client.list_sessions(NAMESPACE)]
        await client.close()
    assert sorted(found) == sorted(wanted)
    assert api.requests.count(f"GET {SESSIONS}") == 3


async def test_metadata_alone_can_be_listed() -> None:
    async with running_kube_api() as api:
        await api.create(names.SESSION_PLURAL, session_body("ball"))
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        (found,) = [body async for body in client.list_sessions(NAMESPACE, metadata_only=True)]
        await client.close()
    assert found["metadata"]["name"] == "ball"
    assert "spec" not in found


async def test_continuation_that_has_expired_is_worth_repeating() -> None:
    async with running_kube_api() as api:
        api.fail("GET", names.SESSION_PLURAL, status=410)
        client = AioKubeClient(Configuration(host=api.url), observer=ignore)
        with pytest.raises(ApiUnavailable):
            _ = [body async for body in client.list_sessions(NAMESPACE)]
        await client.close()
