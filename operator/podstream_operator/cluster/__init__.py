"""The edge to Kubernetes: one small client, its in-memory twin, and the cache of what was seen."""

from podstream_operator.cluster.cache import Cache, CachedPool, CachedSession, Touched, Uids
from podstream_operator.cluster.client import Body, KubeClient

__all__ = ["Body", "Cache", "CachedPool", "CachedSession", "KubeClient", "Touched", "Uids"]
