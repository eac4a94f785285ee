"""Does the access Secret exist, is it this session's, and does its token last long enough?"""

import zlib
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from podstream_core.api import SessionStatus, StreamSession
from podstream_operator.decide.plan import EnsureSecret
from podstream_operator.facts import Memory, SecretFacts
from podstream_operator.resources import has_secret
from podstream_operator.status import applied_at

CHECK_INTERVAL: Final = timedelta(seconds=60)
"""Secrets are neither listed nor watched (RBAC), so one that was deleted is found by reading it."""
TOKEN_MARGIN: Final = timedelta(seconds=60)
"""A token outlives its session's deadline by this: clocks differ, and the last word is status."""
_TOLERANCE: Final = timedelta(seconds=2)
"""Tokens carry whole seconds."""


class SecretVerdict(Enum):
    """What has to be done about an access Secret."""

    KEEP = auto()
    CREATE = auto()
    REFRESH = auto()
    """Its token is unreadable or ends too early."""
    REPLACE = auto()
    """It belongs to an earlier session of the same name."""
    FOREIGN = auto()
    """Somebody else made a Secret of that name: it is not ours to touch."""


def token_expiry(session: StreamSession, *, status: SessionStatus, memory: Memory) -> datetime:
    """Until when the client's token must open the session."""
    started = applied_at(session, status=status, memory=memory)
    return started + timedelta(seconds=session.spec.active_deadline_seconds) + TOKEN_MARGIN


def judge_secret(
    secret: SecretFacts | None, *, owner_uid: str, expires_at: datetime
) -> SecretVerdict:
    """Compare the Secret that is there with the one that should be."""
    if secret is None:
        return SecretVerdict.CREATE
    if not secret.managed:
        return SecretVerdict.FOREIGN
    if secret.owner_uid != owner_uid:
        return SecretVerdict.REPLACE
    if secret.expires_at is None or secret.expires_at < expires_at - _TOLERANCE:
        return SecretVerdict.REFRESH
    return SecretVerdict.KEEP


def secret_actions(
    session: StreamSession, *, previous: SessionStatus, memory: Memory, has_pod: bool, now: datetime
) -> tuple[EnsureSecret, ...]:
    """Look after the Secret of a session that has not ended."""
    if not has_secret(session):
        return ()
    expires_at = token_expiry(session, status=previous, memory=memory)
    if memory.secret_checked_at is None:
        if previous.access is not None and now < _first_look(session, memory=memory):
            return ()
        # Only a session that shows no trace of an earlier attempt is sure to have none.
        known = has_pod or previous.access is not None
        return (EnsureSecret(check_first=known, expires_at=expires_at),)
    # What is remembered as wrong (foreign, too short) is tried again at the interval, too.
    short = memory.secret is not None and (
        memory.secret.expires_at is None or memory.secret.expires_at < expires_at - _TOLERANCE
    )
    if now - memory.secret_checked_at >= CHECK_INTERVAL or (
        short and memory.secret_rejection is None
    ):
        return (EnsureSecret(check_first=True, expires_at=expires_at),)
    return ()


def _first_look(session: StreamSession, *, memory: Memory) -> datetime:
    """When a process that finds the session with its Secret named in status looks for it first.

    Within the interval, at a moment of the session's own: thousands of sessions are found at once
    when an operator starts, and none of them should wait for all the others' Secrets.
    """
    share = zlib.crc32(session.metadata.uid.encode()) / (1 << 32)
    return memory.first_seen_at + CHECK_INTERVAL * share
