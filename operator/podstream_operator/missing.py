"""Does a pod still exist, or exist already? Asked of the API server where no watch has told.

An agent that has answered before falls silent: a watch would say that its pod has gone, but can be
late, or have been interrupted in that moment. The pod is read at the first silence, and ever more
seldom after it: a lost node silences many at once, and their pods stay for a while.
"""

import logging
from collections.abc import Callable

from podstream_operator.cluster import Cache, KubeClient, Touched
from podstream_operator.errors import ApiError
from podstream_operator.facts import PodFacts

logger = logging.getLogger(__name__)


def is_worth_reading(silent: int) -> bool:
    """Whether a pod is to be read after so many calls in a row without an answer."""
    return silent > 0 and silent & (silent - 1) == 0


async def read_pod_again(pod: PodFacts, *, kube: KubeClient, cache: Cache) -> None:
    """Bring the cache up to date on one pod, where the API server answers."""
    try:
        body = await kube.get_pod(pod.namespace, pod.name)
    except ApiError as error:
        logger.warning("silent pod is not read", extra={"pod": pod.name, "cause": str(error)})
        return
    found = PodFacts.from_body(body) if body is not None else None
    if found is not None and found.uid == pod.uid:
        cache.put_pod(found)
    else:
        cache.drop_pod(pod)


async def read_pods_again(
    namespace: str, *, kube: KubeClient, cache: Cache, touch: Callable[[Touched], None]
) -> None:
    """Bring the cache up to date on the pods that exist, and make due whom news concern.

    Raises:
        ApiError: they cannot be listed.
    """
    async for body in kube.list_pods(namespace):
        touch(cache.put_pod(PodFacts.from_body(body)))
