"""Who shows a Kubernetes token, and what that person may do: asked of the API server.

TokenReview says who it is, SubjectAccessReview what they may do, both with the router's own
account: the token itself is not used for anything here. Answers are kept for half a minute, so a
right that is taken away is gone within that time.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from podstream_core.names import GROUP
from podstream_router.errors import Forbidden, LoginUnavailable, Unauthorized
from podstream_router.settings import ALL_NAMESPACES
from podstream_router.watch import ApiError, ApiUnreachable

KEPT_S: Final = 30.0
_MAX_KEPT: Final = 256
_TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Sender(Protocol):
    """One request to the API server; errors are `ApiError` and `ApiUnreachable`."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = ...,
        body: Mapping[str, Any] | None = None,
        content_type: str = ...,
        token: str | None = None,
    ) -> bytes:
        """Body of the answer; with `token` as the person whose token it is."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose Kubernetes token has been reviewed."""

    name: str
    readable: frozenset[str]
    """Namespaces whose sessions they may list; `*` for all."""
    creatable: frozenset[str]
    """Namespaces in which they may create sessions."""
    token: str
    """For what they do themselves; never written anywhere."""

    def may_read(self, namespace: str) -> bool:
        """Whether they may see the sessions of a namespace."""
        return namespace in self.readable or ALL_NAMESPACES in self.readable

    def __repr__(self) -> str:
        return f"Person({self.name!r})"


class _User(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class _TokenStatus(msgspec.Struct):
    authenticated: bool = False
    user: _User = msgspec.field(default_factory=_User)


class _TokenReview(msgspec.Struct):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct):
    allowed: bool = False


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


class People:
    """Reviews tokens, and remembers for a while."""

    def __init__(
        self, api: Sender, *, namespaces: Sequence[str], clock: Callable[[], float]
    ) -> None:
        """`namespaces`: those that this installation serves."""
        self._api = api
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._lock = asyncio.Lock()

    async def identify(self, token: str) -> Person:
        """The person behind a token.

        Raises:
            Unauthorized: the API server does not know the token.
            Forbidden: the person may see no session of this installation.
            LoginUnavailable: the API server could not be asked.
        """
        digest = hashlib.sha256(token.encode()).hexdigest()
        person = self._remembered(digest)
        if person is None:
            async with self._lock:  # one at a time: guessing must not load the API server
                person = self._remembered(digest) or await self._review(token)
                self._keep(digest, person)
        if not person.readable:
            where = ", ".join(self._namespaces)
            raise Forbidden(f"{person.name} may list streamsessions in none of: {where}")
        return person

    def _remembered(self, digest: str) -> Person | None:
        until, person = self._kept.get(digest, (0.0, None))
        return person if self._clock() < until else None

    def _keep(self, digest: str, person: Person) -> None:
        self._kept[digest] = (self._clock() + KEPT_S, person)
        self._kept.move_to_end(digest)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)

    async def _review(self, token: str) -> Person:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        review = msgspec.json.decode(await self._ask(_TOKEN_REVIEWS, body), type=_TokenReview)
        user = review.status.user
        if not review.status.authenticated or not user.username:
            raise Unauthorized("this is neither a session's token nor one that Kubernetes knows")
        readable = await self._allowed(user, verb="list")
        creatable = await self._allowed(user, verb="create") if readable else frozenset()
        return Person(user.username, frozenset(readable), frozenset(creatable), token)

    async def _allowed(self, user: _User, *, verb: str) -> frozenset[str]:
        found = []
        for namespace in self._namespaces:
            attributes = {"group": GROUP, "resource": "streamsessions", "verb": verb}
            if namespace != ALL_NAMESPACES:
                attributes["namespace"] = namespace
            spec = {
                "resourceAttributes": attributes,
                "user": user.username,
                "uid": user.uid,
                "groups": user.groups,
                "extra": user.extra,
            }
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": spec,
            }
            answer = await self._ask(_ACCESS_REVIEWS, body)
            if msgspec.json.decode(answer, type=_AccessReview).status.allowed:
                found.append(namespace)
        return frozenset(found)

    async def _ask(self, path: str, body: Mapping[str, Any]) -> bytes:
        try:
            return await self._api.send("POST", path, body=body)
        except ApiUnreachable as error:
            raise LoginUnavailable("the Kubernetes API does not answer: try again") from error
        except ApiError as error:
            # The message may repeat the request, and with it the token.
            raise LoginUnavailable(
                f"the router may not review Kubernetes tokens (HTTP {error.status}): set the "
                "chart's router.dashboard.adminLogin, or log in with a session's token"
            ) from None
