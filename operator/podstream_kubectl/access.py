"""A session's address outside the cluster and its token, and what can be read there."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Final

from podstream_core.names import SECRET_TOKEN_KEY
from podstream_kubectl.encoding import decoded
from podstream_kubectl.errors import Refused, Unreachable
from podstream_kubectl.installation import find_installation
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session

READ_TIMEOUT_S: Final = 30.0
END_TIMEOUT_S: Final = 5.0
_CHUNK: Final = 1 << 20


def token_of(api: Api, session: Session, *, key: str = SECRET_TOKEN_KEY) -> str | None:
    """The session's token, or another one of its Secret; `None` where none is needed.

    Raises:
        Refused: the Secret cannot be read or holds none.
    """
    if not session.secret:
        return None
    secret = api.get("secret", session.secret)
    try:
        return decoded(secret, key).decode()
    except ValueError as error:
        raise Refused(
            f"Secret {session.secret} holds no {key}; kubectl podstream doctor"
        ) from error


def router_url(api: Api, session: Session | None = None, *, given: str | None = None) -> str:
    """Base URL of the router for clients outside the cluster, without a slash at its end.

    What was given with --url, else from the session's own endpoint, else from the operator's
    settings.

    Raises:
        Refused: none says it.
    """
    if given:
        return given.rstrip("/")
    endpoint = session.http_endpoint if session is not None else ""
    if endpoint:
        parts = urllib.parse.urlsplit(endpoint)
        prefix = parts.path.partition("/s/")[0]
        return f"{parts.scheme}://{parts.netloc}{prefix}"
    if url := find_installation(api).external_url:
        return url.rstrip("/")
    raise Refused(
        "the router's address is not known: give it with --url, or set the chart's externalUrl"
    )


def end_by_router(api: Api, session: Session, *, url: str | None = None) -> str:
    """Have the router end a session at once; why that cannot be done, empty where it was.

    Its pod then goes on serving files for lingerSeconds.
    """
    try:
        token = token_of(api, session)
        base = router_url(api, session, given=url)
    except Refused as error:
        return str(error)
    if token is None:
        return "the session has no token"
    path = f"{base}/api/v1/sessions/{session.namespace}/{session.name}/end"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(path, data=b"{}", headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=END_TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"the router answers {error.code}"
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"the router does not answer: {error}"


def read_from_router(url: str, *, token: str | None) -> Iterator[bytes]:
    """The body of a GET in pieces, as they come. The token goes in a header, never into the URL.

    Raises:
        Refused: the router refuses.
        Unreachable: it does not answer.
    """
    if not url.startswith(("http://", "https://")):
        raise Refused(f"{url} is no http address")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_S) as reply:
            while chunk := reply.read1(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(2000).decode(errors="replace")
        raise Refused(f"{url} answers {error.code}: {text.strip()}") from error
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} does not answer: {error}; kubectl podstream doctor") from error
