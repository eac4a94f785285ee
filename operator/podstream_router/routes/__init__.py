"""The route table: which session, pool, listener or ICE fragment leads to which pod."""

from podstream_router.routes.table import ANY_NAMESPACE, RouteTable
from podstream_router.routes.topics import Topic, listener_topic, pool_topic
from podstream_router.routes.values import PodRoute, PoolRoute, SessionRoute

__all__ = [
    "ANY_NAMESPACE",
    "PodRoute",
    "PoolRoute",
    "RouteTable",
    "SessionRoute",
    "Topic",
    "listener_topic",
    "pool_topic",
]
