"""The Secret whose token opens a pool to its clients."""

import dataclasses
from datetime import timedelta
from typing import Final

from podstream_core.api import StreamPool
from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType
from podstream_operator.clock import Clock
from podstream_operator.cluster import KubeClient
from podstream_operator.decide import SecretVerdict, judge_secret
from podstream_operator.errors import ApiConflict, ApiRejected, ApiUnavailable
from podstream_operator.facts import PoolMemory, Rejection, SecretFacts
from podstream_operator.resources import build_access_secret, has_secret, secret_name

LIFETIME: Final = timedelta(days=30)
RENEW_BEFORE: Final = timedelta(days=10)
"""Clients that mount the Secret see the new token long before the old one ends."""
CHECK_INTERVAL: Final = timedelta(seconds=60)


class PoolSecrets:
    """Makes the access Secret of a pool what it should be."""

    def __init__(self, *, kube: KubeClient, clock: Clock, client_key: SigningKey) -> None:
        self._kube = kube
        self._clock = clock
        self._client_key = client_key

    async def ensure(self, pool: StreamPool, *, memory: PoolMemory) -> PoolMemory:
        """Look at the Secret now and then, and repair it; what is known of it then.

        Raises:
            ApiUnavailable: try again.
        """
        now = self._clock.now()
        if not has_secret(pool):
            return memory
        if memory.secret_checked_at and now - memory.secret_checked_at < CHECK_INTERVAL:
            return memory
        rejection: Rejection | None = None
        secret: SecretFacts | None = None
        try:
            secret = await self._repair(pool)
            if secret is None:
                message = (
                    f"a Secret named {secret_name(pool)} exists that podstream did not make; "
                    "delete it or rename the pool"
                )
                rejection = Rejection("SecretConflict", message, now)
        except ApiRejected as error:
            rejection = Rejection("SecretRejected", error.message, now)
        return dataclasses.replace(
            memory, secret=secret, secret_checked_at=now, secret_rejection=rejection
        )

    async def _repair(self, pool: StreamPool) -> SecretFacts | None:
        """The Secret as it is now; `None` where the name is somebody else's."""
        namespace, name = pool.metadata.namespace, secret_name(pool)
        body = await self._kube.get_secret(namespace, name)
        secret = SecretFacts.from_body(body) if body is not None else None
        needed = self._clock.now() + RENEW_BEFORE
        verdict = judge_secret(secret, owner_uid=pool.metadata.uid, expires_at=needed)
        if verdict is SecretVerdict.FOREIGN:
            return None
        if secret is not None and verdict is SecretVerdict.KEEP:
            return secret
        built = build_access_secret(pool, token=self._token(pool))
        if secret is not None and verdict is SecretVerdict.REFRESH:
            await self._kube.patch_secret(namespace, name, patch={"data": built["data"]})
            return SecretFacts.from_body({**built, "metadata": {**built["metadata"]}})
        if secret is not None:
            await self._kube.delete_secret(namespace, name, uid=secret.uid)
        try:
            return SecretFacts.from_body(await self._kube.create_secret(namespace, built))
        except ApiConflict as conflict:
            raise ApiUnavailable(f"secret {name} appeared while it was made") from conflict

    def _token(self, pool: StreamPool) -> str:
        now = self._clock.now()
        return self._client_key.sign(
            TokenType.CLIENT,
            audience=CLIENT_AUDIENCE,
            subject=pool.metadata.uid,
            lifetime_s=LIFETIME.total_seconds(),
            now=now.timestamp(),
        )
