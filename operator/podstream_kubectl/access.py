"""A session's address outside the cluster and its token, and what can be read there."""

import base64
import binascii
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Final

from podstream_kubectl.errors import Refused, Unreachable
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session

READ_TIMEOUT_S: Final = 30.0
END_TIMEOUT_S: Final = 5.0
_CHUNK: Final = 1 << 20
_OPERATOR: Final = "app.kubernetes.io/name=podstream,app.kubernetes.io/component=operator"


def token_of(api: Api, session: Session) -> str | None:
    """The session's token; `None` where none is needed.

    Raises:
        Refused: the Secret cannot be read or holds none.
    """
    if not session.secret:
        return None
    data = api.get("secret", session.secret).get("data") or {}
    try:
        return base64.b64decode(data["token"], validate=True).decode()
    except (KeyError, binascii.Error, UnicodeDecodeError) as error:
        raise Refused(
            f"Secret {session.secret} holds no token; kubectl podstream doctor"
        ) from error


def router_url(api: Api, session: Session | None = None) -> str:
    """Base URL of the router for clients outside the cluster.

    From the session's own endpoint, else from the operator's settings.

    Raises:
        Refused: neither says it.
    """
    endpoint = session.http_endpoint if session is not None else ""
    if endpoint:
        parts = urllib.parse.urlsplit(endpoint)
        prefix = parts.path.partition("/s/")[0]
        return f"{parts.scheme}://{parts.netloc}{prefix}"
    found = api.get("deployments", "--all-namespaces", f"--selector={_OPERATOR}", cluster_wide=True)
    for deployment in found["items"]:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env") or []:
                if variable.get("name") == "PODSTREAM_EXTERNAL_URL" and variable.get("value"):
                    return str(variable["value"]).rstrip("/")
    raise Refused(
        "the router's address is not known: give it with --url, or set the chart's externalUrl"
    )


def end_by_router(api: Api, session: Session, *, url: str | None = None) -> str:
    """Have the router end a session at once; why that cannot be done, empty where it was.

    Its pod then goes on serving files for lingerSeconds.
    """
    try:
        token = token_of(api, session)
        base = url or router_url(api, session)
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
    """The body of a GET in pieces. The token goes in a header and never into the URL.

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
            while chunk := reply.read(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(2000).decode(errors="replace")
        raise Refused(f"{url} answers {error.code}: {text.strip()}") from error
    except (urllib.error.URLError, OSError) as error:
        raise Unreachable(f"{url} does not answer: {error}; kubectl podstream doctor") from error
