"""What to do next for a session. Pure: no I/O, no clock, no randomness."""

from podstream_operator.decide.lifecycle import decide
from podstream_operator.decide.plan import (
    Action,
    AdoptPod,
    ContactAgent,
    CreateClient,
    CreatePod,
    DeletePod,
    DeleteSession,
    DrainAgent,
    EnsureSecret,
    Plan,
    TakeWarm,
    UpdateSpec,
)
from podstream_operator.decide.secret import SecretVerdict, judge_secret, token_expiry

__all__ = [
    "Action",
    "AdoptPod",
    "ContactAgent",
    "CreateClient",
    "CreatePod",
    "DeletePod",
    "DeleteSession",
    "DrainAgent",
    "EnsureSecret",
    "Plan",
    "SecretVerdict",
    "TakeWarm",
    "UpdateSpec",
    "decide",
    "judge_secret",
    "token_expiry",
]
