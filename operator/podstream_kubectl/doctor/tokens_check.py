"""Do the sessions' Secrets hold tokens that open them?"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any, Final

from podstream_core.tokens import CLIENT_AUDIENCE, PublicKeys, SigningKey, TokenError, TokenType
from podstream_kubectl.doctor.findings import Finding, broken, ok, unknown
from podstream_kubectl.doctor.parts_check import keys_secret_name
from podstream_kubectl.encoding import decoded
from podstream_kubectl.errors import Forbidden, NotFound, Refused
from podstream_kubectl.installation import Installation, served
from podstream_kubectl.kubectl import Api, Body
from podstream_kubectl.sessions import POOLS, SESSIONS

_ENDED: Final = ("Completed", "Failed")
_SESSION: Final = "StreamSession"
_SHOWN_LIMIT: Final = 200
"""Secrets that are read: each is a call."""


def check_tokens(api: Api, installation: Installation) -> Iterator[Finding]:
    """Read the Secret of every session and pool that a client can connect to."""
    keys = _client_keys(api, installation)
    good = looked = 0
    for owner in _owners(api, installation):
        name = (owner["status"].get("access") or {}).get("secretName")
        if not name:
            continue
        looked += 1
        if looked > _SHOWN_LIMIT:
            yield unknown("tokens", f"only the first {_SHOWN_LIMIT} Secrets were read")
            break
        meta = owner["metadata"]
        check = f"token of {meta['namespace']}/{meta['name']}"
        try:
            secret = api.get("secret", name, f"-n={meta['namespace']}", cluster_wide=True)
        except NotFound:
            if _has_gone(api, owner):  # since it was listed, and its Secret with it
                continue
            problem = f"Secret {name} is missing"
        except Forbidden:
            yield unknown("tokens", f"you may not read Secrets of {meta['namespace']}")
            return
        else:
            problem = find_problem(secret, owner_uid=meta["uid"], keys=keys, now=time.time())
        if problem:
            yield broken(
                check,
                problem,
                f"kubectl -n {meta['namespace']} delete secret {name} --ignore-not-found: the "
                "operator makes it anew within a minute",
            )
        else:
            good += 1
    if good:
        yield ok("tokens", f"{good} Secrets hold tokens that open what they belong to")


def find_problem(secret: Body, *, owner_uid: str, keys: PublicKeys | None, now: float) -> str:
    """Why a Secret's token does not open its owner; empty where it does.

    Args:
        secret: the Secret.
        owner_uid: UID of the session or pool.
        keys: client keys of the installation; `None` where they may not be read, then only what
            the token says of itself is looked at.
        now: seconds since the epoch.
    """
    try:
        token = decoded(secret, "token").decode()
        claims = _claims(token)
    except ValueError as error:
        return f"stale token: it cannot be read ({error})"
    if keys is not None:
        try:
            keys.verify(token, kind=TokenType.CLIENT, audience=CLIENT_AUDIENCE)
        except TokenError as error:
            return f"stale token: the router refuses it ({error})"
    elif float(claims.get("exp", 0)) < now:
        return "stale token: it has expired"
    if claims.get("sub") != owner_uid:
        return "stale token: it is that of an earlier session of the same name"
    return ""


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # RFC 7515 section 3.1
        raise ValueError("no JWT")
    claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("no JWT")
    return claims


def _client_keys(api: Api, installation: Installation) -> PublicKeys | None:
    name = keys_secret_name(installation)
    try:
        secret = api.get("secret", name, f"-n={installation.namespace}", cluster_wide=True)
        found = [SigningKey.from_pem(decoded(secret, "client.pem"))]
        if "client-previous.pem" in (secret.get("data") or {}):
            found.append(SigningKey.from_pem(decoded(secret, "client-previous.pem")))
    except (Refused, ValueError):
        return None
    return PublicKeys.of(*found)


def _owners(api: Api, installation: Installation) -> Iterator[Body]:
    """Sessions that have not ended, and pools, with a status."""
    for kind in (SESSIONS, POOLS):
        for item in served(api, installation, kind=kind):
            status = item.get("status") or {}
            if status.get("phase") not in _ENDED and not _is_going(item):
                yield {**item, "status": status}


def _is_going(owner: Body) -> bool:
    return owner["metadata"].get("deletionTimestamp") is not None


def _has_gone(api: Api, owner: Body) -> bool:
    meta = owner["metadata"]
    kind = SESSIONS if owner["kind"] == _SESSION else POOLS
    try:
        now = api.get(kind, meta["name"], f"-n={meta['namespace']}", cluster_wide=True)
    except NotFound:
        return True
    return now["metadata"]["uid"] != meta["uid"] or _is_going(now)
